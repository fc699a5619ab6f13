#include "formats/tokenizer/bpe.h"

#include <memory>
#include <random>
#include <set>

#include "formats/tokenizer/test_files.h"
#include "support/errors.h"

namespace switchyard::tokenizer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::error_of;

// A model over single characters with the merges given as "a b"; ids in the order characters,
// merges.
struct Small {
  Small(const std::vector<std::string>& characters, const std::vector<std::string>& merges,
        BpeOptions options = {}, const std::vector<std::string>& more = {}) {
    const auto add = [&](const std::string& text) {
      if (!vocabulary.find(text))
        vocabulary.add(text, static_cast<TokenId>(vocabulary.size()), "test");
    };
    for (const std::string& text : characters) add(text);
    MergeTable table(merges.size());
    for (std::size_t i = 0; i < merges.size(); ++i) {
      const std::size_t space = merges[i].find(' ');
      const std::string left = merges[i].substr(0, space);
      const std::string right = merges[i].substr(space + 1);
      add(left + right);
      table.set(*vocabulary.find(left), *vocabulary.find(right),
                {static_cast<std::uint32_t>(i), *vocabulary.find(left + right)});
    }
    for (const std::string& text : more) add(text);
    if (vocabulary.find("<unk>")) options.unknown = vocabulary.find("<unk>");
    bpe = std::make_unique<Bpe>(vocabulary, std::move(table), options);
  }

  std::vector<std::string> tokens(std::string_view piece) {
    std::vector<TokenId> ids;
    bpe->encode(piece, scratch, ids);
    std::vector<std::string> texts;
    for (const TokenId id : ids) texts.push_back(*vocabulary.text(id));
    return texts;
  }

  Vocabulary vocabulary;
  std::unique_ptr<Bpe> bpe;
  BpeScratch scratch;
};

TEST(Bpe, LowestRankFirstThenLeftmost) {
  Small small({"a", "b", "c"}, {"b c", "a b", "a a", "ab c"});
  // "b c" goes before "a b", though "a b" comes first in the text.
  EXPECT_THAT(small.tokens("abc"), ElementsAre("a", "bc"));
  EXPECT_THAT(small.tokens("abab"), ElementsAre("ab", "ab"));
  EXPECT_THAT(small.tokens("aaa"), ElementsAre("aa", "a"));
  EXPECT_THAT(small.tokens("c"), ElementsAre("c"));
}

TEST(Bpe, AMergeMakesNewPairsOnBothSides) {
  Small small({"a", "b", "c", "d"}, {"b c", "bc d", "a bcd"});
  EXPECT_THAT(small.tokens("abcd"), ElementsAre("abcd"));
  EXPECT_THAT(small.tokens("dabcdabc"), ElementsAre("d", "abcd", "a", "bc"));
}

TEST(Bpe, UnknownCharactersWithoutUnknownTokenAreAnError) {
  Small small({"a"}, {});
  const Error::Parts parts = error_of([&] { small.tokens("ab"); });
  EXPECT_EQ(parts.what, "the tokenizer has no token for 'b'");
  EXPECT_THAT(parts.expected, HasSubstr("neither byte tokens nor an unknown token"));
}

TEST(Bpe, UnknownCharactersFuseIfAsked) {
  Small apart({"a", "<unk>"}, {});
  EXPECT_THAT(apart.tokens("xéaz"), ElementsAre("<unk>", "<unk>", "a", "<unk>"));
  Small fused({"a", "<unk>"}, {}, {.fuse_unk = true});
  EXPECT_THAT(fused.tokens("xéaz"), ElementsAre("<unk>", "a", "<unk>"));
}

TEST(Bpe, BytesStandInForACharacterOnlyAllTogether) {
  Small small({"a", "<unk>", "<0xC3>", "<0xA9>", "<0xE4>"}, {},
              {.byte_fallback = true, .fuse_unk = true});
  EXPECT_THAT(small.tokens("aé"), ElementsAre("a", "<0xC3>", "<0xA9>"));
  EXPECT_THAT(small.tokens("中é中"), ElementsAre("<unk>", "<0xC3>", "<0xA9>", "<unk>"));
}

TEST(Bpe, AWholePieceIsItsTokenWhenMergesAreIgnored) {
  const std::vector<std::string> characters = {"a", "b", "c"};
  Small plain(characters, {"a b"}, {}, {"abc"});
  EXPECT_THAT(plain.tokens("abc"), ElementsAre("ab", "c"));
  Small whole(characters, {"a b"}, {.ignore_merges = true}, {"abc"});
  EXPECT_THAT(whole.tokens("abc"), ElementsAre("abc"));
  EXPECT_THAT(whole.tokens("abcc"), ElementsAre("ab", "c", "c"));
}

TEST(Bpe, CutsAtMetaspaceOnlyWhereNoMergeCrosses) {
  EXPECT_TRUE(Small({"a", "▁"}, {"▁ a", "▁ ▁"}).bpe->splits_at_metaspace());
  EXPECT_FALSE(Small({"a", "▁"}, {"a ▁"}).bpe->splits_at_metaspace());
  EXPECT_FALSE(Small({"a", "▁"}, {"▁ a", "a ▁a"}).bpe->splits_at_metaspace());
  EXPECT_FALSE(Small({"a"}, {}).bpe->splits_at_metaspace());
}

// The definition: again and again, look at all neighbours and merge the first of the lowest rank.
std::vector<TokenId> merge_naively(const MergeTable& merges, std::vector<TokenId> ids) {
  for (;;) {
    std::size_t best = ids.size();
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto rank = merges.find(ids[i], ids[i + 1]).rank;
      if (rank == kNoRank) continue;
      if (best == ids.size() || rank < merges.find(ids[best], ids[best + 1]).rank) best = i;
    }
    if (best == ids.size()) return ids;
    ids[best] = merges.find(ids[best], ids[best + 1]).result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(Bpe, ScanningAndQueueFollowTheDefinition) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    // Four base symbols and random merges of what there is so far.
    MergeTable merges(40);
    TokenId next = 4;
    std::set<std::pair<TokenId, TokenId>> used;
    for (std::uint32_t rank = 0; rank < 40; ++rank) {
      const auto pick = [&] {
        return static_cast<TokenId>(random() % static_cast<unsigned>(next));
      };
      const std::pair<TokenId, TokenId> pair{pick(), pick()};
      if (!used.insert(pair).second) continue;
      merges.set(pair.first, pair.second, {rank, next++});
    }
    std::vector<TokenId> ids(random() % 120);
    for (TokenId& id : ids) id = static_cast<TokenId>(random() % 4);
    const std::vector<TokenId> expected = merge_naively(merges, ids);
    BpeScratch scratch;
    scratch.ids = ids;
    merge_by_scanning(merges, scratch);
    ASSERT_EQ(scratch.ids, expected);
    scratch.ids = ids;
    merge_by_queue(merges, scratch);
    ASSERT_EQ(scratch.ids, expected);
  }
}

TEST(Bpe, ALongPieceTakesNoQuadraticTime) {
  Small small({"a"}, {"a a", "aa aa", "aaaa aaaa"});
  // A million characters; scanning would take about 10^12 steps.
  EXPECT_EQ(small.tokens(std::string(1 << 20, 'a')).size(), (1U << 20) / 8);
}

TEST(WordCache, AnswersAreThoseOfTheModel) {
  std::mt19937 random(9);
  Small cached({"a", "b", "c"}, {"a b", "b c", "ab c", "c c"});
  for (int round = 0; round < 20000; ++round) {
    std::string word(1 + random() % 40, 'a');
    for (char& c : word) c = static_cast<char>('a' + random() % 3);
    const auto first = cached.tokens(word);
    std::vector<TokenId> ids;
    for (const char c : word) ids.push_back(c - 'a');
    std::vector<std::string> expected;
    for (const TokenId id : merge_naively(cached.bpe->merges(), ids))
      expected.push_back(*cached.vocabulary.text(id));
    ASSERT_EQ(first, expected) << word;
    ASSERT_EQ(cached.tokens(word), expected) << word << ", from the cache";
  }
}

TEST(WordCache, KeepsWhatFitsAndForgetsTheRest) {
  WordCache cache;
  const std::vector<TokenId> ids = {1, 2, 3};
  EXPECT_TRUE(cache.find("word").empty());
  EXPECT_TRUE(cache.find("").empty());
  cache.put("word", ids);
  EXPECT_THAT(cache.find("word"), ElementsAre(1, 2, 3));
  EXPECT_TRUE(cache.find("worm").empty());
  const std::string zero("wor\0", 4);
  cache.put(zero, ids);
  EXPECT_THAT(cache.find(zero), ElementsAre(1, 2, 3));
  cache.put(std::string(31, 'x'), ids);
  EXPECT_TRUE(cache.find(std::string(31, 'x')).empty());
  cache.put("many", std::vector<TokenId>(9, 1));
  EXPECT_TRUE(cache.find("many").empty());
}

TEST(MergeTable, KeepsTheLaterOfTwo) {
  MergeTable table(2);
  EXPECT_EQ(table.find(0, 0).rank, kNoRank);
  table.set(0, 0, {0, 5});
  table.set(0, 0, {1, 6});
  EXPECT_EQ(table.find(0, 0).rank, 1U);
  EXPECT_EQ(table.find(0, 0).result, 6);
  EXPECT_EQ(table.find(0, 1).rank, kNoRank);
}

TEST(Vocabulary, ClashesAreErrors) {
  Vocabulary vocabulary;
  vocabulary.add("a", 3, "file");
  EXPECT_EQ(vocabulary.size(), 4U);
  EXPECT_EQ(vocabulary.text(0), nullptr);
  EXPECT_EQ(vocabulary.text(-1), nullptr);
  EXPECT_EQ(vocabulary.text(4), nullptr);
  EXPECT_EQ(error_of([&] { vocabulary.add("b", 3, "file"); }).what,
            "tokens 'a' and 'b' both have the id 3");
  EXPECT_EQ(error_of([&] { vocabulary.add("a", 4, "file"); }).what,
            "token 'a' has the ids 3 and 4");
}

}  // namespace
}  // namespace switchyard::tokenizer
