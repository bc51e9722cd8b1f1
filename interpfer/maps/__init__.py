"""Maps of where a model looks, and baselines to compare them with."""

import re
from collections.abc import Iterable

from interpfer.errors import PluginError, suggest_names
from interpfer.maps.base import ONE_PASS, AnyMap, BaselineMap
from interpfer.maps.refiners import REFINERS
from interpfer.registry import Registry
from interpfer.truth.options import AU_HEATMAP, MASK

RISE = re.compile(r"rise-([1-9][0-9]*)")


class MapRegistry(Registry[AnyMap]):
    """Maps by name; also ``rise-N``, RISE with any number of masks, and ``MAP.REFINER``, which are not listed.

    Examples:
        >>> "rise-500" in MAPS, "gradcam.flip.blur" in MAPS, "gradcam.flip" in list(MAPS)
        (True, True, False)
        >>> MAPS.resolve("Grad-CAM.Rank-Gaussian")
        'gradcam.rank-gaussian'
    """

    def __contains__(self, name: object) -> bool:
        if super().__contains__(name) or not isinstance(name, str):
            return super().__contains__(name)
        base, *refiners = name.split(".")
        is_known = super().__contains__(base) or RISE.fullmatch(base) is not None
        return is_known and all(each in REFINERS for each in refiners)

    def get(self, name: str) -> AnyMap:
        """Return a map.

        Raises:
            PluginError: the name is unknown, or the import fails; or a refiner cannot be applied to the map.
        """
        match, (base, dot, _) = RISE.fullmatch(name), name.partition(".")
        if match is not None:
            from interpfer.maps.rise import rise_map

            return rise_map(int(match[1]))
        if not dot or super().__contains__(name):
            return super().get(name)
        from interpfer.maps.refined import parse

        return parse(name, self.get(base))

    def resolve(self, name: str) -> str | None:
        """Return the name of the map that a spelling stands for; None if there is none."""
        if RISE.fullmatch(name.casefold()):
            return name.casefold()
        if name.casefold() == "refinecam":
            return "gradcam++.layers"
        if "." not in name or super().__contains__(name):
            return super().resolve(name)
        base, *refiners = name.split(".")
        parts = [self.resolve(base), *map(REFINERS.resolve, refiners)]
        known = [part for part in parts if part is not None]
        return ".".join(known) if len(known) == len(parts) else None

    def origin(self, name: str) -> str:
        """Return the name of the package that provides a map."""
        base = name if super().__contains__(name) else name.partition(".")[0]
        return super().origin("rise" if RISE.fullmatch(base) else base)


MAPS: Registry[AnyMap] = MapRegistry(
    "map",
    "interpfer.maps",
    {
        "attention": "interpfer.maps.activation:attention",
        "attention-random": "interpfer.maps.activation:attention_random",
        "attention-fixed": "interpfer.maps.activation:attention_fixed",
        "attention-first-half": "interpfer.maps.activation:attention_first_half",
        "attention-second-half": "interpfer.maps.activation:attention_second_half",
        "attention-random-half": "interpfer.maps.activation:attention_random_half",
        "attention-same-half": "interpfer.maps.activation:attention_same_half",
        "cam": "interpfer.maps.activation:cam",
        "gradcam": "interpfer.maps.gradient:gradcam",
        "gradcam++": "interpfer.maps.gradient:gradcam_plus_plus",
        "gradcam++compat": "interpfer.maps.gradient:gradcam_plus_plus_compat",
        "layercam": "interpfer.maps.gradient:layercam",
        "xgradcam": "interpfer.maps.gradient:xgradcam",
        "hirescam": "interpfer.maps.gradient:hirescam",
        "gradcam-elementwise": "interpfer.maps.gradient:gradcam_elementwise",
        "eigencam": "interpfer.maps.activation:eigencam",
        "eigencam-centred": "interpfer.maps.activation:eigencam_centred",
        "eigengradcam": "interpfer.maps.gradient:eigengradcam",
        "cf-cam": "interpfer.maps.cf_cam:cf_cam",
        "attention-rollout": "interpfer.maps.transformers:attention_rollout",
        "class-token-attention": "interpfer.maps.transformers:class_token_attention",
        "gradient-rollout": "interpfer.maps.transformers:gradient_rollout",
        "gradient-attention": "interpfer.maps.transformers:gradient_attention",
        "window-rollout": "interpfer.maps.windows:window_rollout",
        "ts-cam": "interpfer.maps.transformers:ts_cam",
        "legrad": "interpfer.maps.attention_maps:legrad",
        "grad-eclip": "interpfer.maps.attention_maps:grad_eclip",
        "value-cam": "interpfer.maps.attention_maps:value_cam",
        "peak-response": "interpfer.maps.peak_response:peak_response",
        "patch-text": "interpfer.maps.patch_text:patch_text",
        "patch-text-surgery": "interpfer.maps.patch_text:patch_text_surgery",
        "scorecam": "interpfer.maps.perturbation:scorecam",
        "ss-cam": "interpfer.maps.perturbation:ss_cam",
        "is-cam": "interpfer.maps.perturbation:is_cam",
        "ablationcam": "interpfer.maps.perturbation:ablationcam",
        "smoothgradcam++": "interpfer.maps.perturbation:smooth_gradcam_plus_plus",
        "rise": "interpfer.maps.rise:rise",
        "occlusion": "interpfer.maps.perturbation:occlusion",
        "fullgrad": "interpfer.maps.gradcam_provider:fullgrad",
        "kpca-cam": "interpfer.maps.gradcam_provider:kpca_cam",
        "softmax-gradcam": "interpfer.maps.softmax_gradcam:softmax_gradcam",
        "finer-cam": "interpfer.maps.gradcam_provider:finer_cam",
        "shapley-cam": "interpfer.maps.gradcam_provider:shapley_cam",
        "integrated-gradients": "interpfer.maps.captum_provider:integrated_gradients",
        "saliency": "interpfer.maps.captum_provider:saliency",
        "input-x-gradient": "interpfer.maps.captum_provider:input_x_gradient",
        "deeplift": "interpfer.maps.captum_provider:deeplift",
        "guided-backprop": "interpfer.maps.captum_provider:guided_backprop",
        "guided-gradcam": "interpfer.maps.captum_provider:guided_gradcam",
        "lrp": "interpfer.maps.captum_provider:lrp",
        "relevance": "interpfer.maps.relevance:relevance",
        "baseline:uniform": "interpfer.maps.baselines:uniform",
        "baseline:center": "interpfer.maps.baselines:center",
        "baseline:random": "interpfer.maps.baselines:random",
        "baseline:edges": "interpfer.maps.baselines:edges",
        "baseline:mean-au": "interpfer.maps.baselines:mean_au",
        "baseline:class-mean-au": "interpfer.maps.baselines:class_mean_au",
        "baseline:mean-mask": "interpfer.maps.baselines:mean_mask",
        "baseline:class-mean-mask": "interpfer.maps.baselines:class_mean_mask",
    },
)

MEANS = {
    AU_HEATMAP: ("baseline:mean-au", "baseline:class-mean-au"),
    MASK: ("baseline:mean-mask", "baseline:class-mean-mask"),
}
"""What a truth is called -> its mean over the other images, and over those of the class, as baselines."""

DEFAULT_MAPS = ("attention", "gradcam", "gradcam++", "layercam", "baseline:uniform", "baseline:class-mean-au")

PROGRAM_MAPS = ("saliency", "input-x-gradient", "occlusion", "baseline:uniform", "baseline:class-mean-au")
"""Default maps of a program, a model that can only be called; those that it allows."""

GROUPS = {
    "all": "every map of at most one forward and one backward",
    "everything": "the slow ones too",
    "baselines": "maps that do not use the model",
}
"""Group of maps -> what is in it."""


def select_maps(selection: str | Iterable[str]) -> tuple[str, ...]:
    """Resolve a comma-separated text or a list of map names and groups, each map once.

    Names may be written as papers do (Grad-CAM++, LayerCAM), or be an alias that a map states. Refiners follow a map
    behind dots (``gradcam.flip``); no group has refined maps.

    Raises:
        PluginError: a name is neither a map nor a group.

    Examples:
        >>> select_maps("gradcam, attention, Grad-CAM")
        ('gradcam', 'attention')
        >>> select_maps("Grad-CAM.flip.rank_gaussian")
        ('gradcam.flip.rank-gaussian',)
        >>> select_maps("baselines")[:2]
        ('baseline:uniform', 'baseline:center')
    """
    names = _split(selection)
    for name in names:
        if name not in MAPS and name not in GROUPS:
            _require_refiners(name)
            known = suggest_names(name, [*GROUPS, *MAPS], MAPS.command)
            raise PluginError(f"unknown map or group of maps '{name}'.{known}")
    members = (entry for name in names for entry in (_members(name) if name in GROUPS else (name,)))
    return tuple(dict.fromkeys(members))


def for_truth(names: Iterable[str], noun: str) -> tuple[str, ...]:
    """Return names of maps where the means of another kind of truth are those of this one, each once.

    Args:
        names: of ``select_maps``.
        noun: ``TruthProvider.noun``.

    Examples:
        >>> for_truth(["gradcam", "baseline:class-mean-au", "baseline:class-mean-mask"], "mask")
        ('gradcam', 'baseline:class-mean-mask')
    """
    own = MEANS.get(noun, MEANS[AU_HEATMAP])
    renamed = {name: own[place] for means in MEANS.values() for place, name in enumerate(means)}
    return tuple(dict.fromkeys(renamed.get(name, name) for name in names))


def named_maps(selection: str | Iterable[str]) -> set[str]:
    """Return the maps that are requested by their own names, not through a group.

    Examples:
        >>> named_maps("all, gradcam")
        {'gradcam'}
    """
    return set(_split(selection)) - set(GROUPS)


def _require_refiners(name: str) -> None:
    """Check the refiners behind the dots of a name.

    Raises:
        PluginError: a refiner is unknown, or one is applied to a group.
    """
    base, *refiners = name.split(".")
    if base in GROUPS:
        raise PluginError(f"'{name}': refiners are applied to maps, and {base} is a group; name the maps.")
    if refiners and MAPS.resolve(base) is not None:
        unknown = next(each for each in refiners if REFINERS.resolve(each) is None)
        known = suggest_names(unknown, REFINERS, REFINERS.command)
        raise PluginError(f"unknown refiner '{unknown}' in '{name}'.{known}")


def _split(selection: str | Iterable[str]) -> list[str]:
    names = [name.strip() for name in selection.split(",")] if isinstance(selection, str) else list(selection)
    return [name if name in GROUPS else MAPS.resolve(name) or name for name in names]


def _members(group: str) -> tuple[str, ...]:
    members = []
    for name in MAPS:
        try:
            method = MAPS.get(name)
        except PluginError:
            if MAPS.origin(name) == "interpfer":
                raise
            continue  # a broken plugin fails only where its own name is asked for
        baseline, quick = isinstance(method, BaselineMap), method.cost == ONE_PASS
        if group == "everything" or (quick if group == "all" else baseline):
            members.append(name)
    return tuple(members)
