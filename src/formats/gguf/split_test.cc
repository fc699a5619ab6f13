#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "switchyard/gguf.h"

#include "formats/gguf/split_name.h"
#include "support/errors.h"
#include "support/memory_file_system.h"

namespace switchyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::error_of;
using testing_support::MemoryFileSystem;

constexpr const char* kFirst = "d/m-00001-of-00003.gguf";
constexpr const char* kSecond = "d/m-00002-of-00003.gguf";
constexpr const char* kThird = "d/m-00003-of-00003.gguf";

// One part with one tensor, [4] of F32, all of value `number`.
void put_part(MemoryFileSystem& fs, const std::string& path, int number, int count,
              const std::string& tensor, int tensors = 3) {
  GgufWriter writer;
  if (number == 0) writer.set("general.architecture", std::string("llama"));
  writer.set("split.no", static_cast<std::uint16_t>(number));
  writer.set("split.count", static_cast<std::uint16_t>(count));
  writer.set("split.tensors.count", std::int32_t{tensors});
  const std::vector<float> values(4, static_cast<float>(number));
  const auto bytes = std::as_bytes(std::span(values));
  writer.add(tensor, DType::f32, {4}, {bytes.begin(), bytes.end()});
  writer.commit(fs, path);
}

class GgufSplit : public testing::Test {
 protected:
  GgufSplit() {
    fs.create_directories("d");
    put_part(fs, kFirst, 0, 3, "a");
    put_part(fs, kSecond, 1, 3, "b");
    put_part(fs, kThird, 2, 3, "c");
  }
  Error::Parts error(const std::string& path = kFirst) {
    const auto parts = error_of([&] { GgufReader(fs, path); });
    EXPECT_THAT(parts.where, testing::StartsWith("d/"));
    EXPECT_FALSE(parts.expected.empty()) << parts.what;
    EXPECT_FALSE(parts.fix.empty()) << parts.what;
    return parts;
  }
  MemoryFileSystem fs;
};

TEST_F(GgufSplit, AllPartsAreOneModel) {
  const GgufReader reader(fs, kFirst);
  EXPECT_THAT(reader.files(), ElementsAre(kFirst, kSecond, kThird));
  EXPECT_EQ(reader.metadata().text("general.architecture"), "llama");
  for (const auto& [name, number] : {std::pair("a", 0), std::pair("b", 1), std::pair("c", 2)}) {
    const GgufTensor& tensor = *reader.find(name);
    EXPECT_EQ(tensor.file, static_cast<std::size_t>(number));
    std::vector<float> values(4);
    reader.read(tensor, std::as_writable_bytes(std::span(values)));
    EXPECT_EQ(values, std::vector<float>(4, static_cast<float>(number)));
  }
  EXPECT_THAT(reader.place(*reader.find("b")),
              testing::StrEq(std::string(kSecond) + ": tensor 'b'"));
}

TEST_F(GgufSplit, MissingPart) {
  fs.remove(kSecond);
  EXPECT_EQ(error().what, "part 2 of 3 is missing");
  EXPECT_EQ(error().where, kSecond);
}

TEST_F(GgufSplit, AnotherThanTheFirst) {
  EXPECT_EQ(error(kSecond).what, "this is part 2 of 3 of a split model");
  EXPECT_EQ(error(kSecond).fix, std::string("give the first one, ") + kFirst);
}

TEST_F(GgufSplit, RenamedFirst) {
  fs.rename(kFirst, "d/model.gguf");
  EXPECT_EQ(error("d/model.gguf").expected, "<name>-00001-of-00003.gguf");
}

TEST_F(GgufSplit, APartThatIsTheFirstAgain) {
  put_part(fs, kSecond, 0, 3, "b");
  EXPECT_EQ(error().what, "key 'split.no' is 0");
  EXPECT_EQ(error().where, kSecond);
  EXPECT_THAT(error().expected, HasSubstr("1, as the file's name"));
}

// Parts that name one another in a circle: no part is opened twice, whatever it says it is.
TEST_F(GgufSplit, ACircleOfParts) {
  put_part(fs, kSecond, 2, 3, "b");
  put_part(fs, kThird, 1, 3, "c");
  EXPECT_EQ(error().what, "key 'split.no' is 2");
  EXPECT_EQ(error().where, kSecond);
  // All three say that they are the first.
  put_part(fs, kSecond, 0, 3, "b");
  put_part(fs, kThird, 0, 3, "c");
  EXPECT_EQ(error().what, "key 'split.no' is 0");
}

TEST_F(GgufSplit, AFirstPartThatLies) {
  put_part(fs, kFirst, 0, 2, "a");
  EXPECT_EQ(error().expected, "<name>-00001-of-00002.gguf");
  put_part(fs, kFirst, 3, 3, "a");
  EXPECT_EQ(error().what, "this is part 4 of 3 of a split model");
}

TEST_F(GgufSplit, APartCutShortAnywhere) {
  const std::string whole = read_file(fs, kSecond);
  const GgufReader reader(fs, kFirst);
  const GgufTensor& last = *reader.find("b");  // behind it is only padding
  for (std::size_t size = 0; size < last.offset + last.bytes; ++size) {
    fs.put(kSecond, whole.substr(0, size));
    EXPECT_THAT(error().where, testing::StartsWith(kSecond)) << size;
  }
}

TEST_F(GgufSplit, AnotherCount) {
  put_part(fs, kThird, 2, 4, "c");
  EXPECT_EQ(error().what, "key 'split.count' is 4");
}

TEST_F(GgufSplit, ATensorTwice) {
  put_part(fs, kThird, 2, 3, "a");
  EXPECT_EQ(error().what, std::string("the tensor also stands in ") + kFirst);
  EXPECT_EQ(error().where, std::string(kThird) + ": tensor 'a'");
}

TEST_F(GgufSplit, AnotherNumberOfTensors) {
  put_part(fs, kFirst, 0, 3, "a", 4);
  EXPECT_EQ(error().what, "key 'split.tensors.count' is 4");
  EXPECT_THAT(error().expected, HasSubstr("3, the tensors of all parts"));
}

TEST_F(GgufSplit, HostileCount) {
  put_part(fs, kFirst, 0, 65535, "a");
  EXPECT_EQ(error().expected, "<name>-00001-of-65535.gguf");
}

TEST_F(GgufSplit, OnePartIsAWholeModel) {
  put_part(fs, "d/one.gguf", 0, 1, "a");
  EXPECT_EQ(GgufReader(fs, "d/one.gguf").files().size(), 1U);
}

TEST(GgufSplitName, Forms) {
  const auto name = parse_gguf_split_name("x/m-00002-of-00010.gguf");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->stem, "x/m");
  EXPECT_EQ(name->number, 2);
  EXPECT_EQ(name->count, 10);
  EXPECT_EQ(name->path(), "x/m-00002-of-00010.gguf");
  for (const char* other :
       {"m.gguf", "", "m-00000-of-00002.gguf", "m-00003-of-00002.gguf", "m-0001-of-00002.gguf",
        "m-0000x-of-00002.gguf", "m-00001-of-00002.bin", "m_00001-of-00002.gguf"}) {
    EXPECT_FALSE(parse_gguf_split_name(other).has_value()) << other;
  }
}

}  // namespace
}  // namespace switchyard
