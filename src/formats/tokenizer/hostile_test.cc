// Files that are damaged or mean harm: each becomes one Error that names the place.
#include <functional>

#include "switchyard/tokenizer.h"

#include "formats/tokenizer/test_files.h"
#include "support/errors.h"
#include "support/memory_file_system.h"

namespace switchyard {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing_support::error_of;
using testing_support::MemoryFileSystem;
using tokenizer::byte_level_file;
using tokenizer::sentencepiece_file;

struct Broken {
  const char* name;
  std::function<void(json&)> damage;  // done to a good file
  const char* what;                   // part of the message
  const char* where;                  // all of the place
};

void PrintTo(const Broken& broken, std::ostream* out) { *out << broken.name; }

class BrokenFile : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenFile, IsOneErrorThatNamesThePlace) {
  json file = byte_level_file({"l o", "lo w"});
  EXPECT_NO_THROW(Tokenizer::from_json(file, "t.json"));
  GetParam().damage(file);
  const Error::Parts parts = error_of([&] { Tokenizer::from_json(file, "t.json"); });
  EXPECT_THAT(parts.what, HasSubstr(GetParam().what));
  EXPECT_EQ(parts.where, GetParam().where);
  EXPECT_FALSE(parts.expected.empty());
}

const std::vector<Broken> kBroken = {
    {"array", [](json& f) { f = json::array(); }, "found a JSON array", "t.json"},
    {"no_model", [](json& f) { f.erase("model"); }, "'model' is missing", "t.json"},
    {"model_is_text", [](json& f) { f["model"] = "BPE"; }, "found a JSON string", "t.json: model"},
    {"other_model", [](json& f) { f["model"]["type"] = "Unigram"; }, "a model of kind 'Unigram'",
     "t.json: model"},
    {"no_vocab", [](json& f) { f["model"].erase("vocab"); }, "'vocab' is missing", "t.json: model"},
    {"vocab_list", [](json& f) { f["model"]["vocab"] = json::array({"a"}); },
     "'vocab' is a JSON array", "t.json: model"},
    {"huge_id", [](json& f) { f["model"]["vocab"]["zz"] = 4000000000U; },
     "token 'zz' has the id '4000000000'", "t.json: model.vocab"},
    {"largest_id", [](json& f) { f["model"]["vocab"]["zz"] = 18446744073709551615U; },
     "'18446744073709551615'", "t.json: model.vocab"},
    {"negative_id", [](json& f) { f["model"]["vocab"]["zz"] = -1; }, "has the id '-1'",
     "t.json: model.vocab"},
    {"id_with_fraction", [](json& f) { f["model"]["vocab"]["zz"] = 1.5; }, "has the id '1.5'",
     "t.json: model.vocab"},
    {"id_is_text", [](json& f) { f["model"]["vocab"]["zz"] = "1"; }, "token 'zz' has the id",
     "t.json: model.vocab"},
    {"same_id_twice", [](json& f) { f["model"]["vocab"]["zz"] = 1; }, "both have the id 1",
     "t.json: model.vocab"},
    {"no_merges", [](json& f) { f["model"].erase("merges"); }, "'merges' is missing",
     "t.json: model"},
    {"merge_of_one", [](json& f) { f["model"]["merges"][1] = "low"; }, R"(found '"low"')",
     "t.json: model.merges[1]"},
    {"merge_of_three", [](json& f) { f["model"]["merges"][0] = "l o w"; }, "found",
     "t.json: model.merges[0]"},
    {"merge_is_number", [](json& f) { f["model"]["merges"][0] = 5; }, "found '5'",
     "t.json: model.merges[0]"},
    {"merge_list_of_one", [](json& f) { f["model"]["merges"][0] = json::array({"l"}); }, "found",
     "t.json: model.merges[0]"},
    {"merge_without_part", [](json& f) { f["model"]["merges"][0] = "l zz"; },
     "needs the token 'zz'", "t.json: model.merges[0]"},
    {"merge_without_result", [](json& f) { f["model"]["merges"][0] = "l p"; },
     "needs the token 'lp'", "t.json: model.merges[0]"},
    {"prefix", [](json& f) { f["model"]["continuing_subword_prefix"] = "##"; },
     "'continuing_subword_prefix' is \"##\"", "t.json: model"},
    {"suffix", [](json& f) { f["model"]["end_of_word_suffix"] = "</w>"; },
     "'end_of_word_suffix' is", "t.json: model"},
    {"dropout", [](json& f) { f["model"]["dropout"] = 0.1; }, "'dropout' is 0.1", "t.json: model"},
    {"unknown_unk", [](json& f) { f["model"]["unk_token"] = "<u>"; }, "'unk_token' is \"<u>\"",
     "t.json: model"},
    {"added_is_text", [](json& f) { f["added_tokens"][0] = "<s>"; }, "found a JSON string",
     "t.json: added_tokens[0]"},
    {"added_huge", [](json& f) { f["added_tokens"][0]["id"] = 4194304; }, "'id' is 4194304",
     "t.json: added_tokens[0]"},
    {"added_takes_id", [](json& f) { f["added_tokens"][0]["id"] = 1; }, "both have the id 1",
     "t.json: added_tokens[0]"},
    {"added_has_other_id",
     [](json& f) {
       f["added_tokens"][0] = {{"id", 9999}, {"content", "low"}, {"special", true}};
     },
     "token 'low' has the ids 258 and 9999", "t.json: added_tokens[0]"},
    {"added_is_long", [](json& f) { f["added_tokens"][0]["content"] = std::string(5000, 'a'); },
     "5000 bytes", "t.json: added_tokens[0].content"},
    {"added_flag", [](json& f) { f["added_tokens"][0]["lstrip"] = 1; }, "'lstrip' is 1",
     "t.json: added_tokens[0]"},
    {"normalizer",
     [](json& f) {
       f["normalizer"] = {{"type", "Precompiled"}};
     },
     "'Precompiled'", "t.json: normalizer"},
    {"pattern",
     [](json& f) {
       f["pre_tokenizer"] = {
           {"type", "Split"}, {"pattern", {{"Regex", "(("}}}, {"behavior", "Isolated"}};
     },
     "'((' is not valid", "t.json: pre_tokenizer.pattern"},
    {"post_processor",
     [](json& f) {
       f["post_processor"] = {{"type", "X"}};
     },
     "'X'", "t.json: post_processor"},
    {"template_id",
     [](json& f) {
       f["post_processor"] = {
           {"type", "TemplateProcessing"},
           {"single", {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}}},
           {"special_tokens", {{"<s>", {{"ids", json::array({5000})}}}}}};
     },
     "the id 5000", "t.json: post_processor.special_tokens.<s>.ids"},
    {"template_without_text",
     [](json& f) {
       f["post_processor"] = {{"type", "TemplateProcessing"},
                              {"single", json::array()},
                              {"special_tokens", json::object()}};
     },
     "leaves the text out", "t.json: post_processor.single"},
    {"decoder",
     [](json& f) {
       f["decoder"] = {{"type", "WordPiece"}};
     },
     "'WordPiece'", "t.json: decoder"},
};

INSTANTIATE_TEST_SUITE_P(Tokenizer, BrokenFile, ::testing::ValuesIn(kBroken),
                         [](const auto& broken) { return std::string(broken.param.name); });

TEST(HostileFile, ContentThatIsNoJsonNamesTheFile) {
  MemoryFileSystem fs;
  fs.put("tokenizer.json", R"({"model": {"vocab": {"a": 0)");
  EXPECT_EQ(error_of([&] { Tokenizer::load(fs, "tokenizer.json"); }).where, "tokenizer.json");
  fs.put("tokenizer.json", R"({"model": {"vocab": {"a": 0, "a": 1}, "merges": []}})");
  EXPECT_THAT(error_of([&] { Tokenizer::load(fs, "tokenizer.json"); }).what,
              HasSubstr("'a' stands twice"));
  fs.put("tokenizer.json", std::string(100'000, '['));
  EXPECT_THAT(error_of([&] { Tokenizer::load(fs, "tokenizer.json"); }).what,
              HasSubstr("nests deeper"));
}

TEST(HostileFile, EveryCutOfAGoodFileIsAnError) {
  const std::string good = sentencepiece_file({"▁", "a"}, {"▁ a"}).dump();
  MemoryFileSystem fs;
  for (std::size_t length = 0; length < good.size(); length += 13) {
    fs.put("tokenizer.json", good.substr(0, length));
    EXPECT_THROW(Tokenizer::load(fs, "tokenizer.json"), Error) << length;
  }
}

TEST(HostileFile, MergesThatRunInCirclesEnd) {
  // "a" + "b" gives "ab", and a second pair gives the same text: encoding must still end and keep
  // the text.
  json file = byte_level_file({"a b", "b a", "ab a", "a ba", "ab ab"});
  const Tokenizer tokenizer = Tokenizer::from_json(file, "t.json");
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "ab";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
}

TEST(HostileFile, APatternThatNeverEndsIsAnErrorWhenItRuns) {
  json file = byte_level_file();
  const json split = {
      {"type", "Split"}, {"pattern", {{"Regex", "(a|aa|aaa)+$"}}}, {"behavior", "Isolated"}};
  file["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers", {split, tokenizer::byte_level_json(false, false)}}};
  const Tokenizer tokenizer = Tokenizer::from_json(file, "t.json");
  EXPECT_NO_THROW(tokenizer.encode("aaa"));
  const Error::Parts parts = error_of([&] { tokenizer.encode(std::string(100, 'a') + "b"); });
  EXPECT_THAT(parts.what, HasSubstr("takes too long on this text"));
  EXPECT_EQ(parts.where, "t.json: pre_tokenizer.pretokenizers[0].pattern");
}

TEST(HostileFile, ControlCharactersInNamesDoNotReachTheTerminal) {
  json file = byte_level_file();
  file["model"]["type"] = "\x1b[31mred\n";
  const Error::Parts parts = error_of([&] { Tokenizer::from_json(file, "t.json"); });
  EXPECT_EQ(parts.what.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace switchyard
