#include "switchyard/local_generator.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "support/temporary_directory.h"
#include "support/tiny_model.h"
#include "support/tiny_text_model.h"

namespace switchyard::runtime {
namespace {

class LocalGeneratorTest : public ::testing::Test {
 protected:
  LocalGeneratorTest() {
    testing_support::write_tiny_text_model(fs_, path_, testing_support::tiny_mixtral());
  }

  LocalGenerator open() const {
    return {"tiny", Model::open(fs_, path_), Tokenizer::load(fs_, path_), {.threads = 1}};
  }

  static api::Request greedy(const std::string& prompt, int tokens) {
    api::Request request;
    request.prompt = prompt;
    request.max_tokens = tokens;
    request.sampling.temperature = 0;
    request.ignore_eos = true;
    return request;
  }

  testing_support::TemporaryDirectory directory_;
  FileSystem& fs_ = real_file_system();
  std::string path_ = directory_ / "model";
};

TEST_F(LocalGeneratorTest, StreamsTheTextItReturns) {
  LocalGenerator generator = open();
  std::string streamed;
  const api::Result result =
      generator.generate(greedy("Once", 20), [&](std::string_view piece) { streamed += piece; });
  EXPECT_EQ(streamed, result.text);
  EXPECT_EQ(result.tokens.size(), 20U);
  EXPECT_EQ(result.finish, api::FinishReason::length);
}

// Two answers of ten tokens in one session are one answer of twenty.
TEST_F(LocalGeneratorTest, ASessionGoesOnWhereItsAnswerEnded) {
  LocalGenerator generator = open();
  const api::Result whole = generator.generate(greedy("The experts", 20));
  Session session = generator.engine().new_session();
  std::vector<std::int32_t> parts =
      generator.continue_session(session, greedy("The experts", 10), {}, {}).tokens;
  ASSERT_EQ(session.length(),
            static_cast<int>(generator.tokenizer().encode("The experts").size()) + 10);
  // The eleventh token, by hand: the session must already hold the tenth.
  session.truncate(session.length() - 1);
  const StepInput last{.session = &session, .tokens = std::span(parts).last(1)};
  const std::vector<float> logits = generator.engine().step(std::span(&last, 1)).front();
  const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
  EXPECT_EQ(best, whole.tokens[10]);
  EXPECT_TRUE(std::equal(parts.begin(), parts.end(), whole.tokens.begin()));
}

TEST_F(LocalGeneratorTest, EndsAtAStopTextWhichIsNotPartOfTheAnswer) {
  LocalGenerator generator = open();
  const std::string text = generator.generate(greedy("Once", 30)).text;
  ASSERT_GT(text.size(), 12U);
  api::Request request = greedy("Once", 30);
  request.stop = {text.substr(6, 4)};
  const api::Result result = generator.generate(request);
  EXPECT_EQ(result.finish, api::FinishReason::stop);
  EXPECT_EQ(result.text, text.substr(0, text.find(request.stop.front())));
}

TEST_F(LocalGeneratorTest, AStopEndsTheAnswerAndKeepsWhatWasSaid) {
  LocalGenerator generator = open();
  std::stop_source stop;
  const api::Result result = generator.generate(
      greedy("Once", 50), [&](std::string_view) { stop.request_stop(); }, stop.get_token());
  EXPECT_EQ(result.finish, api::FinishReason::cancelled);
  EXPECT_LT(result.tokens.size(), 50U);
}

TEST_F(LocalGeneratorTest, AFullContextEndsTheAnswer) {
  LocalGenerator generator = open();
  const api::Result result = generator.generate(greedy("Once", 4000));
  EXPECT_EQ(result.finish, api::FinishReason::length);
  EXPECT_LE(result.prompt_tokens + result.tokens.size(), 129U);  // context 128, the last not fed
}

TEST_F(LocalGeneratorTest, AnEmptyPromptStartsAText) {
  LocalGenerator generator = open();
  EXPECT_EQ(generator.generate(greedy("", 3)).tokens.size(), 3U);
}

}  // namespace
}  // namespace switchyard::runtime
