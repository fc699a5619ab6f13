#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lzma.h>
#include <zlib.h>

#include "formats/data/images.h"
#include "formats/data/source.h"
#include "formats/data/tables.h"
#include "formats/data/text.h"
#include "support/errors.h"
#include "support/memory_file_system.h"

namespace switchyard::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing_support::error_of;
using testing_support::MemoryFileSystem;

std::string xz(const std::string& text) {
  std::string out(lzma_stream_buffer_bound(text.size()), '\0');
  std::size_t size = 0;
  EXPECT_EQ(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, nullptr,
                                    reinterpret_cast<const std::uint8_t*>(text.data()), text.size(),
                                    reinterpret_cast<std::uint8_t*>(out.data()), &size, out.size()),
            LZMA_OK);
  out.resize(size);
  return out;
}

std::string gzip(std::string text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// Longer than one chunk of the decompressor, with little and with much entropy.
std::string long_text() {
  std::string text(700'000, 'a');
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < 400'000; ++i) {
    state = state * 1664525 + 1013904223;
    text[i] = static_cast<char>(' ' + (state >> 24) % 90);
  }
  return text;
}

TEST(SourceTest, ReadsPlainXzAndGzipAlike) {
  MemoryFileSystem fs;
  for (const std::string& text : {std::string(), std::string("hello\n"), long_text()}) {
    fs.put("plain.txt", text);
    fs.put("a.txt.xz", xz(text));
    fs.put("b.txt.gz", gzip(text));
    EXPECT_EQ(read_bytes(fs, "plain.txt"), text);
    EXPECT_EQ(read_bytes(fs, "a.txt"), text);
    EXPECT_EQ(read_bytes(fs, "a.txt.xz"), text);
    EXPECT_EQ(read_bytes(fs, "b.txt"), text);
  }
}

TEST(SourceTest, JoinsSeveralStreams) {
  MemoryFileSystem fs;
  fs.put("a.xz", xz("one ") + xz("two"));
  fs.put("b.gz", gzip("one ") + gzip("two"));
  EXPECT_EQ(read_bytes(fs, "a"), "one two");
  EXPECT_EQ(read_bytes(fs, "b"), "one two");
}

TEST(SourceTest, DamagedFilesAreErrors) {
  MemoryFileSystem fs;
  const std::string text = long_text();
  const auto error = [&](const std::string& name, const std::string& content) {
    fs.put(name, content);
    const auto parts = error_of([&] { read_bytes(fs, name); });
    EXPECT_EQ(parts.where, name);
    return parts.what;
  };
  for (const std::string& whole : {xz(text), xz("")}) {
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{5}, whole.size() / 2, whole.size() - 1}) {
      EXPECT_THAT(error("a.xz", whole.substr(0, size)), HasSubstr("xz file")) << size;
    }
    EXPECT_THAT(error("a.xz", whole + "bytes of no stream"), HasSubstr("damaged"));
  }
  const std::string whole = gzip(text);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{5}, whole.size() / 2, whole.size() - 1}) {
    EXPECT_THAT(error("a.gz", whole.substr(0, size)), HasSubstr("cut short")) << size;
  }
  EXPECT_THAT(error("a.gz", whole + "trailing"), HasSubstr("damaged"));
  std::string flipped = whole;
  flipped[flipped.size() - 6] ^= 1;
  EXPECT_THAT(error("a.gz", flipped), HasSubstr("damaged"));
}

TEST(SourceTest, LimitHoldsAfterDecompression) {
  MemoryFileSystem fs;
  const std::string text(1'000'000, 'x');
  fs.put("a.xz", xz(text));
  fs.put("b.gz", gzip(text));
  fs.put("c", text);
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_EQ(read_bytes(fs, name, text.size()), text);
    EXPECT_THAT(error_of([&] { read_bytes(fs, name, text.size() - 1); }).where, HasSubstr(name));
  }
}

TEST(SourceTest, FindsDataAsGivenOrBelowTheRoot) {
  MemoryFileSystem fs;
  fs.put("here.txt", "");
  fs.put("/root/lm/train.txt.xz", "");
  EXPECT_EQ(find_data(fs, "here.txt", ""), "here.txt");
  EXPECT_EQ(find_data(fs, "lm/train.txt", "/root"), "/root/lm/train.txt.xz");
  EXPECT_EQ(find_data(fs, "lm/train.txt", "/root/"), "/root/lm/train.txt.xz");
  const auto unset = error_of([&] { find_data(fs, "lm/train.txt", ""); });
  EXPECT_EQ(unset.what, "data not found");
  EXPECT_EQ(unset.where, "lm/train.txt");
  EXPECT_THAT(unset.fix, HasSubstr("set SWITCHYARD_DATA"));
  const auto wrong = error_of([&] { find_data(fs, "lm/test.txt", "/root"); });
  EXPECT_EQ(wrong.where, "lm/test.txt, /root/lm/test.txt");
  EXPECT_THAT(wrong.fix, HasSubstr("SWITCHYARD_DATA=/root"));
}

TEST(TextTest, ErrorHasTheByteOffset) {
  MemoryFileSystem fs;
  fs.put("a.txt.gz", gzip("caf\xe9"));
  const auto error = error_of([&] { read_text(fs, "a.txt"); });
  EXPECT_EQ(error.what, "the text is not UTF-8 at byte 3");
  EXPECT_EQ(error.where, "a.txt");
  fs.put("b.txt", "\xef\xbb\xbftext");
  EXPECT_EQ(read_text(fs, "b.txt"), "text");
}

TEST(TextTest, SplitsLines) {
  EXPECT_THAT(split_lines(""), IsEmpty());
  EXPECT_THAT(split_lines("\n"), ElementsAre(""));
  EXPECT_THAT(split_lines("a\r\nb\n\nc"), ElementsAre("a", "b", "", "c"));
  EXPECT_THAT(split_lines("a\r"), ElementsAre("a"));
}

TEST(TextTest, SplitsDocuments) {
  EXPECT_THAT(split_documents("one\n<|e|>\ntwo\nlines\n<|e|>\n", "<|e|>"),
              ElementsAre("one", "two\nlines"));
  EXPECT_THAT(split_documents("a<|e|><|e|>b", "<|e|>"), ElementsAre("a", "b"));
  EXPECT_THAT(split_documents("", "<|e|>"), IsEmpty());
}

TEST(TextTest, SplitsMarkedDocuments) {
  const auto documents =
      split_marked_documents("preface\n<|one|>\ntext\nmore\n\n<|two|>\r\n<|x|> inside\n<|three|>");
  ASSERT_EQ(documents.size(), 3U);
  EXPECT_EQ(documents[0].name, "one");
  EXPECT_EQ(documents[0].text, "text\nmore");
  EXPECT_EQ(documents[1].name, "two");
  EXPECT_EQ(documents[1].text, "<|x|> inside");
  EXPECT_EQ(documents[2].text, "");
}

TEST(JsonlTest, ReadsAFieldOfEveryLine) {
  MemoryFileSystem fs;
  fs.put("a.jsonl", "{\"q\": \"one\"}\n\n{\"q\": \"two\", \"n\": 1}\n");
  EXPECT_THAT(read_jsonl(fs, "a.jsonl", "q"), ElementsAre("one", "two"));
}

TEST(JsonlTest, ErrorsNameTheLine) {
  MemoryFileSystem fs;
  const auto error = [&](const std::string& content) {
    fs.put("a.jsonl", content);
    return error_of([&] { read_jsonl(fs, "a.jsonl", "q"); });
  };
  EXPECT_EQ(error("{\"q\": \"one\"}\n\n{\"p\": \"x\"}").where, "a.jsonl: line 3");
  EXPECT_EQ(error("{\"q\": \"one\"}\n{\"p\": \"x\"}").what, "field 'q' is missing");
  EXPECT_EQ(error("{\"q\": 3}").what, "field 'q' is 3");
  EXPECT_THAT(error("{\"q\": \"one\"}\n{\"q\": ").what, HasSubstr("not valid JSON"));
  EXPECT_THAT(error("[1]").what, HasSubstr("found a JSON array"));
  EXPECT_THAT(error("{\"q\": \"one\", \"q\": \"two\"}").what, HasSubstr("stands twice"));
}

TEST(TsvTest, ReadsWithAndWithoutHeader) {
  const std::string text = "sentence\tlabel\r\ngood\t1\r\n";
  const Table with = parse_tsv(text, true, "t.tsv");
  EXPECT_THAT(with.columns, ElementsAre("sentence", "label"));
  ASSERT_EQ(with.rows.size(), 1U);
  EXPECT_THAT(with.rows[0], ElementsAre("good", "1"));
  const Table without = parse_tsv(text, false, "t.tsv");
  EXPECT_THAT(without.columns, IsEmpty());
  EXPECT_EQ(without.rows.size(), 2U);
}

TEST(TsvTest, QuotationMarksAreCharacters) {
  const Table table = parse_tsv("sentence\tlabel\n\"a\t0\nb\"\t1\n", true, "t.tsv");
  ASSERT_EQ(table.rows.size(), 2U);
  EXPECT_THAT(table.rows[0], ElementsAre("\"a", "0"));
  EXPECT_EQ(table.column("label"), 1U);
  const auto error = error_of([&] { table.column("lable"); });
  EXPECT_EQ(error.where, "t.tsv");
  EXPECT_EQ(error.expected, "one of 'sentence', 'label'");
  EXPECT_EQ(parse_tsv("a\tb\nc\t\n", false, "t.tsv").rows.size(), 2U);
}

TEST(TsvTest, RaggedRowsAreErrors) {
  const auto error = error_of([] { parse_tsv("a\tb\nc\td\ne\n", false, "t.tsv"); });
  EXPECT_EQ(error.what, "the row has 1 cells");
  EXPECT_EQ(error.where, "t.tsv: line 3");
  EXPECT_EQ(error.expected, "2 as in the first line");
}

TEST(ParallelTest, PairsLines) {
  MemoryFileSystem fs;
  fs.put("a.de", "ein\nzwei\n");
  fs.put("a.en.xz", xz("one\ntwo"));
  EXPECT_THAT(read_parallel(fs, "a.de", "a.en"),
              ElementsAre(Pair("ein", "one"), Pair("zwei", "two")));
  fs.put("b.en", "one\n");
  EXPECT_EQ(error_of([&] { read_parallel(fs, "a.de", "b.en"); }).what,
            "the two sides have 2 and 1 lines");
}

std::string idx(const std::vector<std::uint32_t>& dimensions, const std::string& data) {
  std::string file("\x00\x00\x08", 3);
  file += static_cast<char>(dimensions.size());
  for (const std::uint32_t n : dimensions) {
    for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(n >> shift & 0xff);
  }
  return file + data;
}

TEST(ImagesTest, ReadsIdx) {
  const ImageSet set =
      parse_idx(idx({2, 2, 3}, "abcdefghijkl"), idx({2}, std::string("\x00\x09", 2)), 10, "i", "l");
  EXPECT_EQ(set.count, 2U);
  EXPECT_EQ(set.height, 2U);
  EXPECT_EQ(set.width, 3U);
  EXPECT_EQ(set.pixels[6], 'g');
  EXPECT_THAT(set.labels, ElementsAre(0, 9));
}

TEST(ImagesTest, IdxErrors) {
  const auto error = [](const std::string& images, const std::string& labels) {
    return error_of([&] { parse_idx(images, labels, 10, "i", "l"); });
  };
  const std::string one = idx({1}, "\x01");
  EXPECT_THAT(error("", one).what, HasSubstr("3 dimensions"));
  EXPECT_EQ(error(one, one).where, "i");
  EXPECT_EQ(error(idx({1, 1, 1}, "a"), idx({1, 1, 1}, "a")).where, "l");
  EXPECT_EQ(error(idx({1, 2, 2}, "abc"), one).what, "the file holds 3 bytes of data");
  EXPECT_EQ(error(idx({1, 1, 2}, "abc"), one).expected, "2 for its dimensions");
  EXPECT_THAT(error(idx({0xffffffff, 0xffffffff, 0xffffffff}, "abc"), one).expected,
              HasSubstr("that fit a file"));
  EXPECT_EQ(error(idx({2, 1, 1}, "ab"), one).what, "2 images and 1 labels");
  EXPECT_EQ(error(idx({1, 1, 1}, "a"), idx({1}, "\x0a")).what, "label 0 is 10");
}

TEST(ImagesTest, ReadsCifar) {
  MemoryFileSystem fs;
  fs.put("1.bin", "\x03" + std::string(3072, 'p'));
  fs.put("2.bin", "\x07" + std::string(3072, 'q') + "\x01" + std::string(3072, 'r'));
  const std::vector<std::string> paths = {"1.bin", "2.bin"};
  const ImageSet set = read_cifar10(fs, paths);
  EXPECT_EQ(set.count, 3U);
  EXPECT_THAT(set.labels, ElementsAre(3, 7, 1));
  EXPECT_EQ(set.pixels.size(), 3U * 3072U);
  EXPECT_EQ(set.pixels[2 * 3072], 'r');
  fs.put("1.bin", std::string(3000, 'p'));
  EXPECT_EQ(error_of([&] { read_cifar10(fs, paths); }).where, "1.bin");
  fs.put("1.bin", "\x0a" + std::string(3072, 'p'));
  EXPECT_EQ(error_of([&] { read_cifar10(fs, paths); }).what, "label 0 is 10");
}

}  // namespace
}  // namespace switchyard::data
