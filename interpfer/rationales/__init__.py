"""What language models say of a face (its expression, action units and boxes), scored against what is there."""

from interpfer.rationales.reward import Reward, reward
from interpfer.rationales.write import Rationales, score_rationales

__all__ = ["Rationales", "Reward", "reward", "score_rationales"]
