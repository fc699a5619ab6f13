// switchyard synth, and every other command on what it wrote: of each family, as a directory and as
// a GGUF file.
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "switchyard/gguf.h"

#include "cli/child_process.h"
#include "e2e/command_line.h"
#include "formats/family.h"
#include "support/temporary_directory.h"

namespace switchyard::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Synth : public ::testing::Test {
 protected:
  // Small enough for a dozen families.
  static cli::Arguments synth(const std::string& to, const std::string& family,
                              const std::string& type) {
    return {"synth",    to,   "--family",  family, "--layers", "2",  "--vocab", "600",
            "--hidden", "64", "--context", "256",  "--type",   type, "--seed",  "3"};
  }

  // A greedy text.
  static std::string text(const std::string& model) {
    const Outcome o = run(
        {"run", model, "-p", "The experts lived", "-n", "24", "--temp", "0", "--ignore-eos", "-q"});
    EXPECT_EQ(o.code, 0) << o.err;
    return o.out;
  }

  testing_support::TemporaryDirectory directory_;
};

class SynthFamily : public Synth, public ::testing::WithParamInterface<std::string> {};

TEST_P(SynthFamily, EveryCommandWorksAndTheFormsGiveTheSameText) {
  const std::string model = directory_ / "model";
  const std::string gguf = directory_ / "model.gguf";
  const Outcome written = run(synth(model, GetParam(), "f32"));
  ASSERT_EQ(written.code, 0) << written.err;
  EXPECT_THAT(written.out, AllOf(HasSubstr("wrote " + model), HasSubstr("weights")));
  ASSERT_EQ(run(synth(gguf, GetParam(), "f32")).code, 0);

  const std::string expected = text(model);
  EXPECT_THAT(expected, StartsWith("The experts lived"));
  EXPECT_GT(expected.size(), std::string("The experts lived").size() + 24);
  EXPECT_EQ(text(gguf), expected);

  // There and back with convert.
  const std::string other_gguf = directory_ / "converted.gguf";
  const std::string back = directory_ / "back";
  ASSERT_EQ(run({"convert", model, other_gguf}).code, 0);
  ASSERT_EQ(run({"convert", other_gguf, back}).code, 0);
  EXPECT_EQ(text(other_gguf), expected);
  EXPECT_EQ(text(back), expected);
  EXPECT_EQ(read_file(real_file_system(), back + "/model.safetensors"),
            read_file(real_file_system(), model + "/model.safetensors"));

  for (const std::string& path : {model, gguf}) {
    const Outcome inspected = run({"inspect", path});
    EXPECT_EQ(inspected.code, 0) << inspected.err;
    EXPECT_THAT(inspected.out, HasSubstr("2 x 256"));
    EXPECT_EQ(family_name(read_model_config(real_file_system(), path).family), GetParam());
    EXPECT_EQ(run({"logits", path, "--tokens", "1,2,3", "-o", directory_ / "logits.npy"}).code, 0);
    const cli::ChildResult bench =
        cli::run_program(SWITCHYARD_BINARY, {"bench", path, "-p", "8", "-n", "8", "-r", "1"}, {});
    EXPECT_EQ(bench.exit_code, 0) << bench.err;
    const Outcome chat = run({"chat", path, "-n", "5"}, "Hello\n");
    EXPECT_EQ(chat.code, 0) << chat.err;
  }
}

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const FamilyTraits* family : families()) names.emplace_back(family->model_type);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Families, SynthFamily, ::testing::ValuesIn(family_names()),
                         [](const auto& family) { return family.param; });

TEST_F(Synth, QuantisedFilesAreThoseThatConvertMakes) {
  const std::string model = directory_ / "model";
  const std::string made = directory_ / "made.gguf";
  const std::string converted = directory_ / "converted.gguf";
  ASSERT_EQ(run(synth(model, "olmoe", "f32")).code, 0);
  cli::Arguments arguments = synth(made, "olmoe", "q4_0");
  cli::Arguments convert = {"convert", model, converted, "--to", "q4_0"};
  for (cli::Arguments* a : {&arguments, &convert}) {
    a->insert(a->end(), {"--experts-to", "q8_0", "--tensor-type", "attn_v=q6_k"});
  }
  ASSERT_EQ(run(arguments).code, 0);
  ASSERT_EQ(run(convert).code, 0);
  const GgufReader a(real_file_system(), made);
  const GgufReader b(real_file_system(), converted);
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (const auto& [name, tensor] : a.tensors()) {
    const GgufTensor* other = b.find(name);
    ASSERT_NE(other, nullptr) << name;
    EXPECT_EQ(tensor.type, other->type) << name;
    ASSERT_EQ(tensor.bytes, other->bytes) << name;
    std::vector<std::byte> bytes(tensor.bytes);
    std::vector<std::byte> other_bytes(tensor.bytes);
    a.read(tensor, bytes);
    b.read(*other, other_bytes);
    EXPECT_EQ(bytes, other_bytes) << name;
  }
}

TEST_F(Synth, WrongRequestsAreOneLineThatHelps) {
  const std::string to = directory_ / "model";
  const std::pair<cli::Arguments, std::string> cases[] = {
      {{"synth", to, "--family", "gpt2"}, "--family"},
      {{"synth", to, "--shape", "olmoe-8b"}, "olmoe-1b-7b"},
      {{"synth", to, "--type", "q4_0"}, "a directory cannot hold"},
      {{"synth", to, "--experts-to", "q4_0"}, "--experts-to"},
      {{"synth", to, "--vocab", "200"}, "from 259"},
      {{"synth", to, "--family", "llama", "--experts", "4"}, "no experts"},
      {{"synth", to, "--experts", "2"}, "num_experts_per_tok"},
      {{"synth", directory_.path()}, "exists already"},
      {{"synth", directory_ / "none/model.gguf"}, "none"},
  };
  for (const auto& [arguments, expected] : cases) {
    const Outcome o = run(arguments);
    EXPECT_EQ(o.code, 1) << expected;
    EXPECT_THAT(o.err, AllOf(StartsWith("switchyard: error: "), HasSubstr(expected)));
    EXPECT_EQ(std::ranges::count(o.err, '\n'), 1) << o.err;
    EXPECT_FALSE(real_file_system().exists(to)) << expected;
  }
}

}  // namespace
}  // namespace switchyard::e2e
