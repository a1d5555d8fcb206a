//===- ToolTest.cpp - lowbit-run as a user runs it ------------------------===//
#include "TinyModel.h"

#include "lowbit/Checkpoint/Json.h"
#include "lowbit/Runtime/Sampler.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <sys/wait.h>

using namespace lowbit;
using namespace lowbit::test;

namespace {

struct Outcome {
  int code;
  std::string out, err;
};

class Tool : public testing::Test {
protected:
  Tool() { writeFile(model, tinyArtifact()); }

  /// Runs the tool through the shell; `before` is put in front.
  Outcome run(const std::string &arguments, const std::string &before = "") {
    std::string out = folder.file("out"), err = folder.file("err");
    std::string command = "cd " + folder.path + " && export XDG_CONFIG_HOME=" +
                          folder.file("config") + "; " + before +
                          " " LOWBIT_RUN_TOOL " " + arguments;
    if (command.find("1>") == std::string::npos &&
        command.find(">&-") == std::string::npos)
      command += " >" + out;
    command += " 2>" + err;
    int status = system(command.c_str());
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return {code, readFile(out), readFile(err)};
  }

  void expect(const Outcome &outcome, int code, const char *message = "") {
    EXPECT_EQ(outcome.code, code) << outcome.out << outcome.err;
    EXPECT_NE(outcome.err.find(message), std::string::npos)
        << "expected '" << message << "', got '" << outcome.err << "'";
    if (code != 0) {
      EXPECT_EQ(outcome.out, "");
    }
  }

  TemporaryFolder folder;
  std::string model = folder.file("m.lowbit");
};

} // namespace

TEST_F(Tool, ExplainsItself) {
  Outcome help = run("--help");
  EXPECT_EQ(help.code, 0);
  for (const char *part : {"Text:", "Sampling:", "Figures:", "The artifact:",
                           "--top-p", "Examples:", "LOWBIT_ARG_"})
    EXPECT_NE(help.out.find(part), std::string::npos) << part;
  EXPECT_EQ(run("--version").out, "lowbit 0.1.0\n");
}

TEST_F(Tool, RefusesUsageThatMakesNoSense) {
  expect(run(""), 2, "which artifact");
  expect(run("m.lowbit --perplexty x"), 2, "did you mean --perplexity?");
  expect(run("m.lowbit --thread=3"), 2, "did you mean --threads?");
  expect(run("m.lowbit --nothing-like-it-at-all"), 2, "unknown flag");
  expect(run("m.lowbit --bench --verify"), 2, "only one of");
  expect(run("m.lowbit -p a -f b"), 2, "only one of");
  expect(run("m.lowbit --compare x"), 2, "--compare needs");
  expect(run("m.lowbit --logits x.npy"), 2, "--logits needs");
  expect(run("m.lowbit --engine fast"), 2, "--engine");
  expect(run("m.lowbit --trust --variant sse"), 2, "--variant");
  expect(run("m.lowbit -n many"), 2, "-n");
  expect(run("m.lowbit --trust --temp -1"), 2, "--temp: -1 is not in 0…10000");
  expect(run("m.lowbit --trust --top-p 1.5"), 2, "--top-p");
  expect(run("m.lowbit --trust --top-k -1"), 2, "--top-k");
  expect(run("m.lowbit --trust --min-p nan"), 2, "--min-p");
  expect(run("m.lowbit --trust -n -2"), 2, "--n-predict");
  expect(run("m.lowbit --trust -t -1"), 2, "--threads");
  expect(run("m.lowbit --trust -c 151"), 2, "context: 151 is not in 0…150");
  expect(run("m.lowbit --trust --seed -2"), 2, "--seed");
  expect(run("m.lowbit --trust --width 2 -p a"), 2,
         "width: is 2, but the model is not nested");
}

TEST_F(Tool, RefusesFlagsWithoutEffect) {
  writeFile(folder.file("t.txt"), std::string(60, 'a'));
  writeFile(folder.file("ids"), "1 2");
  for (auto [arguments, message] :
       {std::pair<const char *, const char *>{
            "--inspect -p a", "--prompt has no effect with --inspect"},
        {"--inspect --engine reference", "--engine has no effect"},
        {"--verify -o json", "--output has no effect with --verify"},
        {"--verify -n 3", "--n-predict has no effect with --verify"},
        {"--tokenize -p a -t 2", "--threads has no effect with --tokenize"},
        {"--tokenize --ids ids", "--ids has no effect with --tokenize"},
        {"--list-variants", "model has no effect with --list-variants"},
        {"--list-devices", "model has no effect with --list-devices"},
        {"--bench --temp 1", "--temp has no effect with --bench"},
        {"--bench -f t.txt", "--file has no effect with --bench"},
        {"--perplexity t.txt -p a", "--prompt has no effect"},
        {"--logits x.npy -p a -n 1", "--n-predict has no effect with --logits"},
        {"-p a -o json -n 1",
         "--output needs --perplexity or --bench or --inspect"},
        {"-p a --pp 3", "--pp needs --bench"},
        {"-p a --windows 3", "--windows needs --perplexity"},
        {"-p a --protocol lowbit", "--protocol needs --perplexity"},
        {"--ids ids --special", "--special has no effect with --ids"},
        {"-p a --schedule 3", "--schedule needs --device emulated"},
        {"-p a --engine reference --device emulated",
         "--device has no effect with --engine=reference"},
        {"--perplexity t.txt -o md", "--perplexity prints text or json"},
        {"--inspect -o md", "--inspect prints text or json, not md"},
        {"--bench -o text", "--bench prints md or json, not text"},
        {"--bench --pp 0 --tg 0", "--pp and --tg are both 0"},
        {"--perplexity t.txt --engine reference -o json",
         "--output has no effect with --engine=reference"},
        {"--perplexity t.txt --engine reference --variant avx2",
         "--variant has no effect with --engine=reference"},
        {"--ids ids --logits x.npy --engine reference-f64 -c 9",
         "--ctx-size has no effect with --logits and --engine=reference-f64"}})
    expect(run(std::string("m.lowbit --trust ") + arguments), 2, message);
  // The environment is for many runs, so for each what it has a use for.
  std::string everywhere = "LOWBIT_ARG_TEMP=0 LOWBIT_ARG_OUTPUT=json "
                           "LOWBIT_ARG_THREADS=2 LOWBIT_ARG_N_PREDICT=1";
  EXPECT_EQ(run("m.lowbit --inspect", everywhere).out,
            run("m.lowbit --inspect -o json").out);
  EXPECT_EQ(run("m.lowbit --trust -p Hi --ignore-eos", everywhere).out,
            run("m.lowbit --trust -p Hi --ignore-eos --temp 0 -n 1").out);
}

TEST_F(Tool, ReadsWholeNumbersInDecimal) {
  const std::string model = "m.lowbit --trust -p Hi --temp 0 --ignore-eos ";
  // Never octal, hexadecimal, clamped or wrapped.
  Outcome padded = run(model + "-n 010");
  EXPECT_NE(padded.err.find("text: 10 tokens"), std::string::npos)
      << padded.err;
  for (auto [flag, name] :
       {std::pair<const char *, const char *>{"-n", "--n-predict"},
        {"-s", "--seed"},
        {"-c", "--ctx-size"},
        {"-t", "--threads"},
        {"--top-k", "--top-k"},
        {"--width", "--width"}})
    for (const char *value : {"99999999999999999999", "0x8", "+8", "8.0"})
      expect(run(model + flag + " " + value), 2,
             (std::string(name) + ": is \"" + value +
              "\", must be a decimal number from ")
                 .c_str());
  // Not cut to 32 bits on the way to the runtime.
  expect(run(model + "--width 4294967295"), 2, "--width: is \"4294967295\"");
  expect(run(model + "--top-k 2147483648"), 2, "to 2147483647");
  expect(run("m.lowbit --trust --bench -r 0"), 2,
         "--repetitions: is \"0\", must be a decimal number from 1 to 10000");
  expect(run("m.lowbit --trust -p Hi", "LOWBIT_ARG_N_PREDICT=ten"), 2,
         "--n-predict: is \"ten\"");
}

TEST_F(Tool, NamesWhatIsWrongWithAFile) {
  expect(run("none.lowbit -p a"), 3, "none.lowbit");
  expect(run("m.lowbit -p a"), 7, "--trust");
  expect(run("m.lowbit --trust -f none.txt"), 3, "none.txt");
  std::string file = tinyArtifact();
  writeFile(folder.file("cut.lowbit"), file.substr(0, file.size() - 1));
  expect(run("cut.lowbit --trust"), 7, "truncated: have ");
  file[file.size() - 300] ^= 1;
  writeFile(folder.file("bad.lowbit"), file);
  expect(run("bad.lowbit --verify"), 7, "weights.head");
}

TEST_F(Tool, TellsACheckpointFromAnArtifact) {
  auto write = [&](const char *name, const std::string &metadata) {
    std::string header = "{" + metadata +
                         "\"w\":{\"dtype\":\"U8\",\"shape\":[8],"
                         "\"data_offsets\":[0,8]}}";
    std::string length(8, '\0');
    length[0] = static_cast<char>(header.size());
    writeFile(folder.file(name), length + header + std::string(8, 'x'));
  };
  write("with.safetensors", "\"__metadata__\":{\"format\":\"pt\"},");
  write("without.safetensors", "");
  for (const char *name : {"with", "without"})
    expect(run(std::string(name) + ".safetensors -p a"), 7,
           ("lowbit-run: " + std::string(name) +
            ".safetensors: is a checkpoint (or another safetensors file), not "
            "a lowbit artifact; compile its folder with lowbit-compile")
               .c_str());
  write("profile", "\"__metadata__\":{\"kind\":\"lowbit profile\"},");
  expect(run("profile --inspect"), 7, "kind is \"lowbit profile\"");
  write("newer", "\"__metadata__\":{\"kind\":\"lowbit\",\"more\":\"1\"},");
  expect(run("newer --inspect"), 7, "metadata: unknown key \"more\"");
}

TEST_F(Tool, NamesTheFileThatIsWrong) {
  writeFile(folder.file("binary.txt"), std::string("ab\xFF"));
  const char *utf8 = "binary.txt: text: is not UTF-8 at byte 2";
  for (const char *arguments :
       {"--tokenize -f binary.txt", "-f binary.txt", "--perplexity binary.txt",
        "-f binary.txt --logits x.npy"})
    expect(run(std::string("m.lowbit --trust ") + arguments), 3, utf8);
  expect(run("m.lowbit --tokenize -p \"$(cat binary.txt)\""), 2,
         "--prompt: text: is not UTF-8 at byte 2");
  expect(run("none.lowbit --tokenize -p a"), 3, "lowbit-run: none.lowbit: ");

  writeFile(folder.file("ids.txt"), "5 272");
  writeFile(folder.file("words.txt"), "5 x");
  writeFile(folder.file("empty.txt"), "");
  for (const char *action : {"", " --logits x.npy"}) {
    std::string start = std::string("m.lowbit --trust") + action + " --ids ";
    expect(run(start + "ids.txt"), 3,
           "ids.txt: token 1: is \"272\", must be a decimal number from 0 to "
           "271");
    expect(run(start + "words.txt"), 3, "words.txt: token 1: is \"x\"");
    expect(run(start + "empty.txt"), 3,
           "empty.txt: has 0 tokens, must have 1 to 150");
  }
  expect(run("m.lowbit --trust --perplexity empty.txt -c 50"), 3,
         "empty.txt: text has 0 tokens");
  // A wrong flag is not blamed on the file.
  expect(run("m.lowbit --trust --perplexity empty.txt -c 500"), 2,
         "lowbit-run: context of a window");
}

TEST_F(Tool, SaysHowStandardInputIsRead) {
  const char *hint = "not a regular file; - reads standard input";
  expect(run("m.lowbit --tokenize -f /dev/stdin </dev/zero"), 3, hint);
  expect(run("m.lowbit --tokenize -f /dev/stdin", "echo ab |"), 3, hint);
  expect(run("m.lowbit --trust --ids /dev/stdin", "echo 1 |"), 3, hint);
  Outcome folderName = run("m.lowbit --tokenize -f .");
  expect(folderName, 3, "is a directory");
  EXPECT_EQ(folderName.err.find("standard input"), std::string::npos);
  EXPECT_EQ(run("m.lowbit --tokenize -f -", "printf ab |").out,
            "256\n97\n98\n");
}

TEST_F(Tool, GeneratesText) {
  Outcome outcome =
      run("m.lowbit --trust -p Hi --temp 0 -n 10 --ignore-eos -t 2");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out.rfind("Hi", 0), 0u) << outcome.out;
  EXPECT_NE(outcome.err.find("text: 10 tokens"), std::string::npos);
  EXPECT_NE(outcome.err.find("stopped: max_tokens"), std::string::npos);
  // The same from ids, and with the flag in the environment.
  writeFile(folder.file("ids"), "[256, 72\n105]");
  Outcome ids =
      run("m.lowbit --trust --ids ids -n 10 --ignore-eos", "LOWBIT_ARG_TEMP=0");
  EXPECT_EQ("Hi" + ids.out, outcome.out);
  Outcome bare = run("m.lowbit --trust -p Hi --temp 0 -n 10 --ignore-eos "
                     "--no-display-prompt --weights map --variant portable");
  EXPECT_EQ(bare.out, ids.out);
}

TEST_F(Tool, RepeatsTextForASeed) {
  std::string flags = "m.lowbit --trust -p Hi --temp 2 -n 20 --ignore-eos -s ";
  EXPECT_EQ(run(flags + "7").out, run(flags + "7 -t 3").out);
  EXPECT_NE(run(flags + "7").out, run(flags + "8").out);
}

TEST_F(Tool, NeverCutsAPromptSilently) {
  writeFile(folder.file("long.txt"), std::string(150, 'a'));
  expect(run("m.lowbit --trust -f long.txt"), 3,
         "long.txt: has 151 tokens, must have 1 to 150 (the context)");
  expect(run("m.lowbit --trust -f long.txt --logits x.npy"), 3,
         "long.txt: has 151 tokens");
  expect(run("m.lowbit --trust -f - <long.txt"), 3,
         "standard input: has 151 tokens");
  expect(run("m.lowbit --trust -c 3 -p abc"), 2, "--prompt: has 4 tokens");
  writeFile(folder.file("fits.txt"), std::string(149, 'a'));
  Outcome full = run("m.lowbit --trust -f fits.txt --ignore-eos");
  EXPECT_EQ(full.code, 0);
  EXPECT_NE(full.err.find("stopped: length"), std::string::npos) << full.err;
}

TEST_F(Tool, TokenizesWithoutTrust) {
  writeFile(folder.file("t"), "ab");
  EXPECT_EQ(run("m.lowbit --tokenize -f t").out, "256\n97\n98\n");
  EXPECT_EQ(run("m.lowbit --tokenize -p ab").out, "256\n97\n98\n");
  EXPECT_EQ(run("m.lowbit --tokenize -p '</s>' --special").out, "256\n257\n");
  EXPECT_EQ(run("m.lowbit --tokenize -p '</s>'").out.find("257"),
            std::string::npos);
}

TEST_F(Tool, WritesLogits) {
  writeFile(folder.file("ids"), "1 2 3 4 5 6 7 8 9 10 11");
  Outcome outcome = run("m.lowbit --trust --ids ids --logits out.npy");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  std::string npy = readFile(folder.file("out.npy"));
  size_t size = 11 * tinyVocabulary * sizeof(float);
  ASSERT_EQ(npy.size() % 64, size % 64);
  ASSERT_GT(npy.size(), size);
  EXPECT_EQ(npy.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_NE(npy.find("'shape': (11, 272)"), std::string::npos);
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 11; ++i) {
    ids.push_back(i + 1);
    auto expected = tinyLogits(ids);
    EXPECT_EQ(memcmp(npy.data() + npy.size() - size +
                         i * tinyVocabulary * sizeof(float),
                     expected.data(), tinyVocabulary * sizeof(float)),
              0);
  }
  writeFile(folder.file("ids"), "1 -2");
  expect(run("m.lowbit --trust --ids ids --logits o2.npy"), 3, "token 1");
  writeFile(folder.file("ids"), "1 2");
  expect(run("m.lowbit --trust --ids ids --logits none/o.npy"), 5, "none");
  // What failed leaves nothing behind.
  EXPECT_EQ(
      system(("test -z \"$(ls -A " + folder.path + " | grep o2)\"").c_str()),
      0);
}

TEST_F(Tool, MeasuresPerplexityByAPrintedProtocol) {
  writeFile(folder.file("t.txt"), std::string(200, 'a') + "bc");
  Outcome text = run("m.lowbit --trust --perplexity t.txt -c 51");
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("protocol: context 51, stride 50 tokens of text, BOS "
                          "first, all other tokens scored\n5 windows, 202 "
                          "tokens scored\n"),
            std::string::npos)
      << text.out;
  Outcome json = run("m.lowbit --trust --perplexity t.txt -c 51 -o json "
                     "--windows 2 --compare m.lowbit");
  auto parsed = parseJson(json.out, "json", {1 << 16});
  ASSERT_TRUE(bool(parsed)) << json.out << json.err;
  EXPECT_EQ(parsed->find("scored")->asUint64(), 100u);
  EXPECT_EQ(parsed->find("divergence")->asDouble(), 0);
  EXPECT_EQ(parsed->find("same_top")->asDouble(), 1);
  expect(run("m.lowbit --trust --perplexity t.txt"), 2, "512 is not in 2…150");
  writeFile(folder.file("empty"), "");
  expect(run("m.lowbit --trust --perplexity empty -c 50"), 3, "0 tokens");
}

TEST_F(Tool, MeasuresSpeed) {
  Outcome md = run("m.lowbit --trust --bench --pp 32 --tg 8 -r 2");
  EXPECT_EQ(md.code, 0) << md.err;
  EXPECT_NE(md.out.find("| pp32 |"), std::string::npos) << md.out;
  EXPECT_NE(md.out.find("| tg8 |"), std::string::npos);
  Outcome json = run("m.lowbit --trust --bench --pp 32 --tg 8 -r 3 -o json");
  auto parsed = parseJson(json.out, "json", {1 << 16});
  ASSERT_TRUE(bool(parsed)) << json.out;
  ASSERT_EQ(parsed->asArray().size(), 2u);
  EXPECT_EQ(parsed->asArray()[1].find("samples_ts")->asArray().size(), 3u);
  expect(run("m.lowbit --trust --bench"), 2, "512 tokens exceed");
}

TEST_F(Tool, InspectsWithoutTrust) {
  Outcome text = run("m.lowbit --inspect");
  EXPECT_EQ(text.code, 0) << text.err;
  for (const char *part : {"lowbit test", "vocabulary 272", "code.x86_64",
                           "weights (2 tensors)", "table"})
    EXPECT_NE(text.out.find(part), std::string::npos) << part << text.out;
  Outcome json = run("m.lowbit --inspect -o json");
  EXPECT_TRUE(bool(parseJson(json.out, "json", {1 << 20})));
  EXPECT_EQ(run("m.lowbit --verify").out, "m.lowbit: ok\n");
  EXPECT_EQ(run("--list-variants").out.rfind("portable  yes\n", 0), 0u);
  Outcome devices = run("--list-devices");
  EXPECT_EQ(devices.out.rfind("cpu       ", 0), 0u) << devices.out;
  EXPECT_NE(devices.out.find("\nemulated  "), std::string::npos);
  EXPECT_NE(devices.out.find("\ncuda"), std::string::npos);
}

TEST_F(Tool, SaysWhyThereIsNoSuchGpu) {
  Outcome outcome = run("m.lowbit -p a --device cuda:99");
  EXPECT_EQ(outcome.code, 8);
  EXPECT_NE(outcome.err.find("device cuda:99: "), std::string::npos)
      << outcome.err;
}

TEST_F(Tool, SaysWhereTheReferenceEngineIs) {
  // Away from the build folder, where the compiler's tools may be.
  std::string copy = folder.file("lowbit-run");
  ASSERT_EQ(system(("ln " LOWBIT_RUN_TOOL " " + copy +
                    " 2>/dev/null || cp " LOWBIT_RUN_TOOL " " + copy)
                       .c_str()),
            0);
  writeFile(folder.file("ids"), "1");
  Outcome outcome;
  std::string command = "LD_LIBRARY_PATH=" LOWBIT_RUNTIME_FOLDER " " + copy +
                        " " + model + " --engine reference --ids " +
                        folder.file("ids") + " --logits x.npy 2>" +
                        folder.file("err");
  int status = system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 4);
  EXPECT_NE(readFile(folder.file("err")).find("comes with the compiler tools"),
            std::string::npos)
      << readFile(folder.file("err"));
  expect(run("m.lowbit --engine reference -p a"), 4, "--perplexity FILE");
}

TEST_F(Tool, NoticesWhenOutputCannotBeWritten) {
  EXPECT_EQ(run("m.lowbit --verify 1>/dev/full").code, 5);
  EXPECT_EQ(run("m.lowbit --verify >&-").code, 5);
  EXPECT_EQ(run("m.lowbit --trust -p Hi -n 5 --ignore-eos 1>/dev/full").code,
            5);
}
