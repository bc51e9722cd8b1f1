"""Maps of where a model looks, and baselines to compare them with."""

import re
from collections.abc import Iterable

from interpfer.errors import PluginError, suggest_names
from interpfer.maps.base import ONE_PASS, AnyMap, BaselineMap
from interpfer.registry import Registry
from interpfer.truth.options import AU_HEATMAP, MASK

RISE = re.compile(r"rise-([1-9][0-9]*)")


class MapRegistry(Registry[AnyMap]):
    """Maps by name, and ``rise-N``: RISE with any number of masks, which is not listed.

    Examples:
        >>> "rise-500" in MAPS, "rise-500" in list(MAPS)
        (True, False)
    """

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and RISE.fullmatch(name) is not None)

    def get(self, name: str) -> AnyMap:
        """Return a map.

        Raises:
            PluginError: the name is unknown, or the import fails.
        """
        match = RISE.fullmatch(name)
        if match is None:
            return super().get(name)
        from interpfer.maps.rise import rise_map

        return rise_map(int(match[1]))

    def resolve(self, name: str) -> str | None:
        """Return the name of the map that a spelling stands for; None if there is none."""
        return name.casefold() if RISE.fullmatch(name.casefold()) else super().resolve(name)

    def origin(self, name: str) -> str:
        """Return the name of the package that provides a map."""
        return super().origin("rise" if RISE.fullmatch(name) else name)


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
        "ts-cam": "interpfer.maps.transformers:ts_cam",
        "scorecam": "interpfer.maps.perturbation:scorecam",
        "ss-cam": "interpfer.maps.perturbation:ss_cam",
        "is-cam": "interpfer.maps.perturbation:is_cam",
        "ablationcam": "interpfer.maps.perturbation:ablationcam",
        "smoothgradcam++": "interpfer.maps.perturbation:smooth_gradcam_plus_plus",
        "rise": "interpfer.maps.rise:rise",
        "occlusion": "interpfer.maps.perturbation:occlusion",
        "fullgrad": "interpfer.maps.gradcam_provider:fullgrad",
        "kpca-cam": "interpfer.maps.gradcam_provider:kpca_cam",
        "finer-cam": "interpfer.maps.gradcam_provider:finer_cam",
        "shapley-cam": "interpfer.maps.gradcam_provider:shapley_cam",
        "integrated-gradients": "interpfer.maps.captum_provider:integrated_gradients",
        "saliency": "interpfer.maps.captum_provider:saliency",
        "input-x-gradient": "interpfer.maps.captum_provider:input_x_gradient",
        "deeplift": "interpfer.maps.captum_provider:deeplift",
        "guided-backprop": "interpfer.maps.captum_provider:guided_backprop",
        "guided-gradcam": "interpfer.maps.captum_provider:guided_gradcam",
        "lrp": "interpfer.maps.captum_provider:lrp",
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

    Names may be written as papers do (Grad-CAM++, LayerCAM), or be an alias that a map states.

    Raises:
        PluginError: a name is neither a map nor a group.

    Examples:
        >>> select_maps("gradcam, attention, Grad-CAM")
        ('gradcam', 'attention')
        >>> select_maps("baselines")[:2]
        ('baseline:uniform', 'baseline:center')
    """
    names = _split(selection)
    for name in names:
        if name not in MAPS and name not in GROUPS:
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
