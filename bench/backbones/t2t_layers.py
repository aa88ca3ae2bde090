"""T2T-ViT (Yuan et al., ICCV 2021, arXiv 2101.11986) with performer tokens and the public checkpoints' key names."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

TOKEN_DIM = 64
HEAD_DIM = 64


class TokenPerformer(nn.Module):
    """One-head linear attention that maps tokens [N, T, dim] to [N, T, 64] through 32 fixed random features."""

    def __init__(self, dim: int, width: int = TOKEN_DIM, features: int = TOKEN_DIM // 2) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.kqv = nn.Linear(dim, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.w = nn.Parameter(
            nn.init.orthogonal_(torch.empty(features, width)) * math.sqrt(features), requires_grad=False
        )

    def forward(self, tokens: Tensor) -> Tensor:
        key, query, value = self.kqv(self.norm1(tokens)).chunk(3, dim=-1)  # the checkpoints' order
        key, query = self._kernel(key), self._kernel(query)
        summary = torch.einsum("ntm,nte->nme", key, value)
        scale = torch.einsum("ntm,nm->nt", query, key.sum(1)).unsqueeze(-1) + 1e-8
        attended = torch.einsum("ntm,nme->nte", query, summary) / scale
        out = value + self.proj(attended)  # the skip starts at the values, because the tokens have another width
        return out + self.mlp(self.norm2(out))

    def _kernel(self, x: Tensor) -> Tensor:
        """Return positive random features of the softmax kernel: exp(w·x − ‖x‖²/2) / √m."""
        return torch.exp(functional.linear(x, self.w) - x.square().sum(-1, keepdim=True) / 2) / math.sqrt(len(self.w))


class TokensToToken(nn.Module):
    """Turn images [N, 3, S, S] into (S/16)² tokens of width `dim` by three overlapping unfoldings."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.attention1 = TokenPerformer(3 * 7 * 7)
        self.attention2 = TokenPerformer(TOKEN_DIM * 3 * 3)
        self.project = nn.Linear(TOKEN_DIM * 3 * 3, dim)

    def forward(self, images: Tensor) -> Tensor:
        side = images.shape[-1] // 4
        tokens = self.attention1(functional.unfold(images, 7, stride=4, padding=2).transpose(1, 2))
        tokens = self.attention2(self._split(tokens, side))
        return self.project(self._split(tokens, side // 2))

    @staticmethod
    def _split(tokens: Tensor, side: int) -> Tensor:
        """Lay tokens out as a map [N, 64, side, side] and gather each 3 × 3 neighbourhood at stride 2."""
        grid = tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)
        return functional.unfold(grid, 3, stride=2, padding=1).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention with heads of width 64, without biases on query, key and value."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        query, key, value = self.qkv(x).reshape(n, t, 3, d // HEAD_DIM, HEAD_DIM).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(attended.transpose(1, 2).reshape(n, t, d))


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class Block(nn.Module):
    """A pre-norm transformer block on tokens [N, T, D]."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class T2TViT(nn.Module):
    """The trunk without its head: tokens-to-token module, class token, fixed position table, blocks and final norm."""

    def __init__(self, image_size: int, dim: int, depth: int, mlp_ratio: int) -> None:
        super().__init__()
        self.tokens_to_token = TokensToToken(dim)
        self.cls_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, dim), std=0.02))
        self.pos_embed = nn.Parameter(sinusoids((image_size // 16) ** 2 + 1, dim), requires_grad=False)
        self.blocks = nn.ModuleList([Block(dim, mlp_ratio * dim) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)

    def embed(self, images: Tensor) -> Tensor:
        """Return the tokens [N, 1 + T, D] that enter the first block."""
        tokens = self.tokens_to_token(images)
        return torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], 1) + self.pos_embed


def sinusoids(positions: int, dim: int) -> Tensor:
    """Return the fixed position table [1, positions, dim]: sine in even, cosine in odd dimensions (Vaswani 2017)."""
    rate = 10000.0 ** (-2.0 * (torch.arange(dim, dtype=torch.float64) // 2) / dim)
    angle = torch.arange(positions, dtype=torch.float64)[:, None] * rate
    table = torch.where(torch.arange(dim) % 2 == 0, angle.sin(), angle.cos())
    return table.float()[None]


def resize_positions(table: Tensor, positions: int) -> Tensor:
    """Resize a position table [1, 1 + G², D] bicubically to another square grid; the class token's row stays."""
    if table.shape[1] == positions:
        return table
    old, new = math.isqrt(table.shape[1] - 1), math.isqrt(positions - 1)
    grid = table[:, 1:].reshape(1, old, old, -1).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid, size=(new, new), mode="bicubic", align_corners=False)
    return torch.cat([table[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)], 1)
