"""Maps of where a model looks, and the baselines to beat."""

from collections.abc import Iterable

from interpfer.errors import PluginError, choices
from interpfer.maps.base import ONE_PASS, AnyMap, BaselineMap
from interpfer.registry import Registry

MAPS: Registry[AnyMap] = Registry(
    "map",
    "interpfer.maps",
    {
        "attention": "interpfer.maps.activation:attention",
        "attention-random": "interpfer.maps.activation:attention_random",
        "attention-fixed": "interpfer.maps.activation:attention_fixed",
        "attention-first-half": "interpfer.maps.activation:attention_first_half",
        "attention-second-half": "interpfer.maps.activation:attention_second_half",
        "cam": "interpfer.maps.activation:cam",
        "gradcam": "interpfer.maps.gradient:gradcam",
        "gradcam++": "interpfer.maps.gradient:gradcam_plus_plus",
        "gradcam++compat": "interpfer.maps.gradient:gradcam_plus_plus_compat",
        "layercam": "interpfer.maps.gradient:layercam",
        "xgradcam": "interpfer.maps.gradient:xgradcam",
        "hirescam": "interpfer.maps.gradient:hirescam",
        "gradcam-elementwise": "interpfer.maps.gradient:gradcam_elementwise",
        "eigencam": "interpfer.maps.activation:eigencam",
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
        "rise": "interpfer.maps.perturbation:rise",
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
    },
)

DEFAULT_MAPS = ("attention", "gradcam", "gradcam++", "layercam", "baseline:uniform", "baseline:class-mean-au")

PROGRAM_MAPS = ("saliency", "input-x-gradient", "occlusion", "baseline:uniform", "baseline:class-mean-au")
"""The default for a model that can only be called, as far as it has gradients."""

GROUPS = {
    "all": "every map of at most one forward and one backward",
    "everything": "the slow ones too",
    "baselines": "maps that know nothing of the model",
}


def select_maps(wanted: str | Iterable[str]) -> tuple[str, ...]:
    """Resolve a comma-separated text or a list of map names and of groups.

    Raises:
        PluginError: a name is neither a map nor a group.
    """
    names = _split(wanted)
    for name in names:
        if name not in MAPS and name not in GROUPS:
            told = choices(name, [*GROUPS, *MAPS], MAPS.command)
            raise PluginError(f"no map or group of maps is called '{name}'.{told}")
    members = (entry for name in names for entry in (_members(name) if name in GROUPS else (name,)))
    return tuple(dict.fromkeys(members))


def named_maps(wanted: str | Iterable[str]) -> set[str]:
    """Return the maps that are asked for by their own names, not through a group."""
    return set(_split(wanted)) - set(GROUPS)


def _split(wanted: str | Iterable[str]) -> list[str]:
    return [name.strip() for name in wanted.split(",")] if isinstance(wanted, str) else list(wanted)


def _members(group: str) -> tuple[str, ...]:
    found = []
    for name in MAPS:
        try:
            method = MAPS.get(name)
        except PluginError:
            if MAPS.origin(name) == "interpfer":
                raise
            continue  # a broken plugin fails only when asked for by its name
        baseline, quick = isinstance(method, BaselineMap), method.cost == ONE_PASS
        if group == "everything" or (quick if group == "all" else baseline):
            found.append(name)
    return tuple(found)
