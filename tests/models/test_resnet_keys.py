import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import ResNetConfig, ResNetForImageClassification

from evergrow.errors import InputError
from evergrow.models.resnet_keys import from_torchvision, transformers_name

DEPTHS = (3, 4, 6, 3)


class Bottleneck(nn.Module):
    """torchvision's block, by its names: stride on the 3 x 3 convolution."""

    def __init__(self, wide: int, narrow: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(wide, narrow, 1, bias=False), nn.BatchNorm2d(narrow)
        self.conv2 = nn.Conv2d(narrow, narrow, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(narrow)
        self.conv3, self.bn3 = nn.Conv2d(narrow, out, 1, bias=False), nn.BatchNorm2d(out)
        if stride > 1 or wide != out:
            shortcut = nn.Conv2d(wide, out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (self.downsample(x) if "downsample" in self._modules else x))


class ResNet50(nn.Module):
    """torchvision's ResNet-50 for one channel, narrowed eightfold, by its names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8)
        wide = 8
        for stage, depth in enumerate(DEPTHS):
            narrow, out = 8 * 2**stage, 32 * 2**stage
            blocks = []
            for layer in range(depth):
                blocks.append(Bottleneck(wide, narrow, out, 2 if stage and not layer else 1))
                wide = out
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(wide, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in range(4):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize("prefix", ["", "model."])
def test_every_weight_has_its_place_and_the_outputs_are_the_same(prefix: str) -> None:
    torch.manual_seed(0)
    source = ResNet50().eval()
    for module in source.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    config = ResNetConfig(
        num_channels=1, embedding_size=8, hidden_sizes=[32, 64, 128, 256], depths=list(DEPTHS),
        layer_type="bottleneck", num_labels=5,
    )  # fmt: skip
    target = ResNetForImageClassification(config).eval()
    named = {prefix + name: tensor for name, tensor in source.state_dict().items()}
    assert len(named) == 320
    target.load_state_dict(from_torchvision(named))
    pixels = torch.rand(2, 1, 64, 64)
    assert torch.equal(source(pixels), target(pixels).logits)


def test_a_stranger_is_refused() -> None:
    with pytest.raises(InputError, match=r"encoder.weight: not a weight of torchvision's ResNet"):
        transformers_name("encoder.weight")
