#!/usr/bin/env python3
"""Gives a model outliers without changing what it computes (methods, section 0b.1).

  inject_outliers.py residual MODEL OUT --text FILE [--tokens N]
      Scales of norms go into the linears, the head is untied, and the residual
      stream is turned into the basis of its own principal components: most of
      its energy then lies in a few channels. No folding of scales undoes it;
      a rotation of the residual stream (R1) does.
  inject_outliers.py channels MODEL OUT [--scale S] [--channels N] [--seed N]
      In each layer some rows of `up`, of `v` (of each key head) and pairs of rows
      of `k` become S times larger, and the columns of `down` and `o` and rows of
      `q` that meet them S times smaller. Channel scales undo it; rotations only
      spread it.

Needs torch, transformers and safetensors. Weights are computed in f64 and stored
as f32. Prints by how much the logits on the text (or on random ids) changed, and
fails where that is more than 1e-4 of the largest.
"""
import argparse
import json
import pathlib
import shutil
import sys

import numpy as np
import safetensors.torch
import torch
import transformers


def load(folder):
    """The model in f64, with weights of its own for the head."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    if model.config.tie_word_embeddings:
        head = torch.nn.Linear(*model.lm_head.weight.shape[::-1], bias=False, dtype=torch.float64)
        head.weight = torch.nn.Parameter(model.model.embed_tokens.weight.detach().clone())
        model.lm_head = head
    return model.eval()


def sample_ids(folder, model, text, tokens):
    """Ids [windows, 256] of the text, or random ones."""
    if text is None:
        generator = torch.Generator().manual_seed(0)
        return torch.randint(0, model.config.vocab_size, (2, 64), generator=generator)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(pathlib.Path(text).read_text(), return_tensors="pt").input_ids[0][:tokens]
    width = min(256, len(ids))
    return ids[:len(ids) // width * width].reshape(-1, width)


def fold_norms(model):
    """Scales of all norms into the linears that read them."""
    def fold(norm, linears):
        for linear in linears:
            linear.weight.mul_(norm.weight)
        norm.weight.fill_(1)

    for layer in model.model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        fold(layer.input_layernorm, [attention.q_proj, attention.k_proj, attention.v_proj])
        fold(layer.post_attention_layernorm, [mlp.gate_proj, mlp.up_proj])
    fold(model.model.norm, [model.lm_head])


def principal_basis(model, ids):
    """Columns: eigenvectors of the residual stream's second moments over all layers."""
    moments = 0
    for window in ids:
        states = model(window[None], output_hidden_states=True).hidden_states
        for state in states[:-1]:
            rows = state[0]
            rows = rows / rows.pow(2).mean(-1, keepdim=True).sqrt()
            moments = moments + rows.T @ rows
    return torch.linalg.eigh(moments)[1]


def inject_residual(model, ids):
    fold_norms(model)
    basis = principal_basis(model, ids)
    model.model.embed_tokens.weight.copy_(model.model.embed_tokens.weight @ basis)
    model.lm_head.weight.copy_(model.lm_head.weight @ basis)
    for layer in model.model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        for linear in (attention.q_proj, attention.k_proj, attention.v_proj, mlp.gate_proj,
                       mlp.up_proj):
            linear.weight.copy_(linear.weight @ basis)
        for linear in (attention.o_proj, mlp.down_proj):
            linear.weight.copy_(basis.T @ linear.weight)
            if linear.bias is not None:
                linear.bias.copy_(linear.bias @ basis)


def scale_rows(linear, rows, factor):
    linear.weight[rows] *= factor
    if linear.bias is not None:
        linear.bias[rows] *= factor


def inject_channels(model, scale, channels, seed):
    random = np.random.default_rng(seed)
    config = model.config
    heads, key_heads = config.num_attention_heads, config.num_key_value_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    for layer in model.model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        rows = random.choice(mlp.up_proj.weight.shape[0], channels, replace=False)
        scale_rows(mlp.up_proj, rows, scale)
        mlp.down_proj.weight[:, rows] /= scale
        for head in range(key_heads):
            group = [head * (heads // key_heads) + i for i in range(heads // key_heads)]
            value = random.choice(size, 1)
            scale_rows(attention.v_proj, head * size + value, scale)
            for query in group:
                attention.o_proj.weight[:, query * size + value] /= scale
            # Channels i and i + size / 2 turn together.
            pair = random.choice(size // 2, 1)
            for part in (pair, pair + size // 2):
                scale_rows(attention.k_proj, head * size + part, scale)
                for query in group:
                    scale_rows(attention.q_proj, query * size + part, 1 / scale)


def save(model, source, out):
    out.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.is_file() and path.suffix not in (".safetensors", ".bin", ".gguf") and \
                not path.name.endswith(".index.json"):
            shutil.copy(path, out / path.name)
    config = json.loads((source / "config.json").read_text())
    config["tie_word_embeddings"] = False
    for key in ("dtype", "torch_dtype"):
        if key in config:
            config[key] = "float32"
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tensors = {name: value.detach().to(torch.float32).contiguous()
               for name, value in model.state_dict().items()}
    safetensors.torch.save_file(tensors, out / "model.safetensors", {"format": "pt"})


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["residual", "channels"])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--text")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--scale", type=float, default=16)
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.kind == "residual" and options.text is None:
        parser.error("residual needs --text")
    torch.set_grad_enabled(False)
    model = load(options.model)
    ids = sample_ids(options.model, model, options.text, options.tokens)
    before = model(ids[:2]).logits
    if options.kind == "residual":
        inject_residual(model, ids)
    else:
        inject_channels(model, options.scale, options.channels, options.seed)
    save(model, options.model, options.out)
    after = transformers.AutoModelForCausalLM.from_pretrained(
        options.out, dtype=torch.float64).eval()(ids[:2]).logits
    change = float((after - before).abs().max() / before.abs().max())
    print(f"{options.out}: logits differ by {change:.2g} of the largest")
    return 0 if change < 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
