// RUN: %{python} %S/tiny_models.py llama3_rope_parameters %t.tied
// RUN: lowbit-reference --model %t.tied --import | FileCheck %s --check-prefix=TIED
// RUN: %{python} %S/tiny_models.py biases %t.biases
// RUN: lowbit-reference --model %t.biases --cache=i8 --import | FileCheck %s --check-prefix=BIASES
// RUN: %{python} %S/tiny_models.py llama2_linear %t.linear
// RUN: lowbit-reference --model %t.linear --import | FileCheck %s --check-prefix=LINEAR

// One parameter serves as embedding and head; norms keep their own type. The
// frequencies are those of transformers' _compute_llama3_parameters.

// TIED: module attributes {lowbit.model = {bos = 1 : i64, context = 256 : i64, eos = [2], head_dim = 8 : i64, heads = 4 : i64, hidden = 32 : i64, kv_heads = 2 : i64, layers = 2 : i64, vocabulary = 97 : i64}}
// TIED: lowbit.parameter @embedding : tensor<97x32xbf16> source <"model.safetensors", "model.embed_tokens.weight", offset = [[#]], bytes = 6208>
// TIED-NEXT: lowbit.parameter @layers.0.attention_norm : tensor<32xf32>
// TIED-NOT: lowbit.parameter @head
// TIED: func.func @forward(%[[IDS:.+]]: tensor<?xi32>, %[[ROWS:.+]]: tensor<?x2xi32>, %[[SELECT:.+]]: tensor<?xi32>) -> tensor<?x97xf32>
// TIED-NEXT: %[[TABLE:.+]] = lowbit.weight @embedding
// TIED-NEXT: %[[X0:.+]] = lowbit.embedding %[[IDS]], %[[TABLE]]
// TIED: %[[N0:.+]] = lowbit.rms_norm %[[X0]], %{{.+}} eps = 9.99999974E-6
// TIED: %[[Q:.+]] = lowbit.linear %[[N0]], %{{.+}} activation = <f32>
// TIED: %[[K:.+]] = lowbit.linear %[[N0]]
// TIED: %[[V:.+]] = lowbit.linear %[[N0]]
// TIED: %[[QR:.+]] = lowbit.rotary %[[Q]], %[[ROWS]] frequencies = [1.000000e+00, 0.0130422562, 1.250000e-03, 1.250000e-04]
// TIED: %[[KR:.+]] = lowbit.rotary %[[K]], %[[ROWS]]
// TIED: %[[A:.+]] = lowbit.attention %[[QR]], %[[KR]], %[[V]], %[[ROWS]] layer = 0 heads = 4 kv_heads = 2 scale = 0.353553385 cache = f16
// TIED: %[[O:.+]] = lowbit.linear %[[A]]
// TIED: %[[X1:.+]] = lowbit.add %[[X0]], %[[O]]
// TIED: %[[N1:.+]] = lowbit.rms_norm %[[X1]]
// TIED: %[[G:.+]] = lowbit.linear %[[N1]]
// TIED: %[[U:.+]] = lowbit.linear %[[N1]]
// TIED: %[[GU:.+]] = lowbit.gate %[[G]], %[[U]]
// TIED: %[[D:.+]] = lowbit.linear %[[GU]]
// TIED: lowbit.add %[[X1]], %[[D]]
// TIED: lowbit.attention {{.+}} layer = 1
// TIED: %[[LAST:.+]] = lowbit.add
// TIED-NEXT: %[[MID:.+]] = lowbit.weight @layers.1.ffn_norm
// TIED: %[[END:.+]] = lowbit.add
// TIED-NEXT: %[[CHOSEN:.+]] = lowbit.select_rows %[[END]], %[[SELECT]]
// TIED-NEXT: %[[GAIN:.+]] = lowbit.weight @final_norm
// TIED-NEXT: %[[NORMED:.+]] = lowbit.rms_norm %[[CHOSEN]], %[[GAIN]]
// TIED-NEXT: %[[LOGITS:.+]] = lowbit.linear %[[NORMED]], %[[TABLE]]
// TIED-NEXT: return %[[LOGITS]]

// BIASES: lowbit.parameter @layers.0.query_bias : tensor<32xf32>
// BIASES: lowbit.parameter @head : tensor<97x32xf32>
// BIASES: %[[QB:.+]] = lowbit.weight @layers.0.query_bias
// BIASES-NEXT: lowbit.linear %{{.+}}, %{{.+}} bias %[[QB]]
// BIASES: lowbit.attention {{.+}} kv_heads = 1 scale = {{.+}} cache = i8
// BIASES: %[[DB:.+]] = lowbit.weight @layers.1.down_bias
// BIASES-NEXT: lowbit.linear %{{.+}}, %{{.+}} bias %[[DB]]
// BIASES: %[[HEAD:.+]] = lowbit.weight @head
// BIASES-NEXT: lowbit.linear %{{.+}}, %[[HEAD]] activation

// Shards by name; frequencies divided by the factor.
// LINEAR: lowbit.parameter @embedding : tensor<97x32xf16> source <"model-00001-of-00003.safetensors"
// LINEAR: lowbit.parameter @layers.0.attention_norm : tensor<32xf16> source <"model-00002-of-00003.safetensors"
// LINEAR: frequencies = [2.500000e-01, 2.500000e-02, 2.500000e-03, 2.500000e-04]
