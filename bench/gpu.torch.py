"""PyTorch's side of `npm run bench gpu`: reads one JSON request a line, answers with one line each.

{"make": what, ...sizes}  -> {"id": n}     prepares a piece of work: matmul, attention, attentionBackward, step, generate
{"run": id, "count": n}   -> {"ms": t}     does it n times in a row and waits for the last
{"about": true}           -> {"torch", "device", "cuda"}

Eager, float32, TF32 off: what a user gets who asks for single precision and compiles nothing.
"""
import json
import sys
import time

import torch
import torch.nn.functional as F

torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
device = "cuda" if torch.cuda.is_available() else "cpu"
wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)


def normals(*shape):
    return torch.randn(*shape, device=device)


def matmul(M, N, K, transA, transB, **_):
    a = normals(K, M).t() if transA else normals(M, K)
    b = normals(N, K).t() if transB else normals(K, N)
    out = torch.empty(M, N, device=device)
    return lambda: torch.mm(a, b, out=out)


def attention(B, T, H, D, **_):
    q, k, v = normals(B, T, 3, H, D).permute(2, 0, 3, 1, 4)
    return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)


def attentionBackward(B, T, H, D, **_):
    q, k, v = (x.detach().requires_grad_() for x in normals(B, T, 3, H, D).permute(2, 0, 3, 1, 4))
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    pull = torch.randn_like(out)
    return lambda: torch.autograd.grad(out, (q, k, v), pull, retain_graph=True)


class Model:
    """The GPT-2-shaped models of bench/models.ts."""

    def __init__(self, vocabulary, context, width, layers, heads, hidden):
        self.heads = heads
        self.layers = []
        scaled = lambda *shape: (0.02 * normals(*shape)).requires_grad_()
        norm = lambda: (torch.ones(width, device=device, requires_grad=True), torch.zeros(width, device=device, requires_grad=True))
        self.tokens = scaled(vocabulary, width)
        self.positions = scaled(context, width)
        for _ in range(layers):
            self.layers.append((norm(), scaled(3 * width, width), scaled(width, width), norm(), scaled(hidden, width), scaled(width, hidden)))
        self.norm = norm()
        self.head = scaled(vocabulary, width)
        inner = [x for a, qkv, o, b, up, down in self.layers for x in (*a, qkv, o, *b, up, down)]
        self.parameters = [self.tokens, self.positions, *inner, *self.norm, self.head]

    def forward(self, ids, position=0, cache=None):
        B, T = ids.shape
        x = F.embedding(ids, self.tokens) + self.positions[position:position + T]
        C = x.shape[-1]
        for i, (a, qkv, o, b, up, down) in enumerate(self.layers):
            q, k, v = F.linear(F.layer_norm(x, (C,), *a), qkv).view(B, T, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
            if cache is not None:
                if i in cache:
                    k = torch.cat((cache[i][0], k), 2)
                    v = torch.cat((cache[i][1], v), 2)
                cache[i] = (k, v)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=T > 1)
            x = x + F.linear(y.transpose(1, 2).reshape(B, T, C), o)
            x = x + F.linear(F.gelu(F.linear(F.layer_norm(x, (C,), *b), up), approximate="tanh"), down)
        return F.linear(F.layer_norm(x, (C,), *self.norm), self.head)


def step(batch, T, config, fused, waiting, **_):
    names = ("vocabulary", "context", "width", "layers", "heads", "hidden")
    model = Model(**{name: config[name] for name in names})
    options = {"fused": True} if fused and device == "cuda" else {}
    optimiser = torch.optim.AdamW(model.parameters, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.05, **options)
    drawn = [torch.randint(config["vocabulary"], (2, batch, T)) for _ in range(8)]
    calls = [0]

    def run():
        x, y = drawn[calls[0] % 8].to(device)
        calls[0] += 1
        loss = F.cross_entropy(model.forward(x).view(batch * T, -1), y.reshape(-1))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters, 1.0)
        optimiser.step()
        return loss.item() if waiting else loss

    return run


def generate(batch, prompt, tokens, config, **_):
    names = ("vocabulary", "context", "width", "layers", "heads", "hidden")
    model = Model(**{name: config[name] for name in names})
    ids = torch.randint(config["vocabulary"], (batch, prompt), device=device)

    @torch.no_grad()
    def run():
        cache = {}
        found = []
        logits = model.forward(ids, 0, cache)[:, -1]
        for position in range(prompt, prompt + tokens):
            new = logits.argmax(-1, keepdim=True)
            found.append(new)
            if position + 1 < prompt + tokens:
                logits = model.forward(new, position, cache)[:, -1]
        return torch.cat(found, 1).cpu()

    return run


work = []
makers = {f.__name__: f for f in (matmul, attention, attentionBackward, step, generate)}
for line in sys.stdin:
    request = json.loads(line)
    try:
        if "make" in request:
            work.append(makers[request["make"]](**request))
            answer = {"id": len(work) - 1}
        elif "drop" in request:
            work[request["drop"]] = None
            answer = {}
        elif "run" in request:
            run = work[request["run"]]
            wait()
            start = time.perf_counter()
            for _ in range(request["count"]):
                run()
            wait()
            answer = {"ms": 1000 * (time.perf_counter() - start)}
        else:
            name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
            answer = {"torch": torch.__version__, "device": name, "cuda": torch.version.cuda}
    except Exception as error:
        answer = {"error": str(error).split("\n")[0]}
    print(json.dumps(answer), flush=True)
