#include "formats/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "support/errors.h"
#include "support/memory_file_system.h"

namespace switchyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::error_of;

class NpyTest : public testing::Test {
 protected:
  // A version 1.0 file with this dictionary and this many bytes of data.
  Error::Parts error_for(const std::string& header, std::size_t data) {
    std::string file("\x93NUMPY\x01\x00", 8);
    file += static_cast<char>(header.size() & 0xff);
    file += static_cast<char>(header.size() >> 8);
    fs_.put("a.npy", file + header + std::string(data, '\0'));
    return error_of([&] { read_npy(fs_, "a.npy"); });
  }

  testing_support::MemoryFileSystem fs_;
};

TEST_F(NpyTest, RoundTripsEveryRank) {
  const std::vector<std::vector<std::int64_t>> shapes = {{}, {3}, {2, 3}, {1, 2, 3}, {0, 5}};
  for (const auto& shape : shapes) {
    std::size_t count = 1;
    for (const std::int64_t n : shape) count *= static_cast<std::size_t>(n);
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i) - 1.5F;
    write_npy(fs_, "a.npy", shape, values);
    const NpyArray array = read_npy(fs_, "a.npy");
    EXPECT_EQ(array.shape, shape);
    EXPECT_EQ(array.values, values);
  }
}

TEST_F(NpyTest, WritesTheBytesNumpyWrites) {
  write_npy(fs_, "a.npy", {2, 3}, std::vector<float>(6));
  const std::string file = read_file(fs_, "a.npy");
  EXPECT_EQ(file.size(), 128U + 24U);
  EXPECT_EQ(file.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_THAT(file, HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   "));
  EXPECT_EQ(file[127], '\n');
  write_npy(fs_, "b.npy", {3}, std::vector<float>(3));
  EXPECT_THAT(read_file(fs_, "b.npy"), HasSubstr("'shape': (3,), }"));
}

TEST_F(NpyTest, WriterIsHeldToItsShape) {
  NpyWriter out(fs_, "a.npy", {2, 2});
  out.append(std::vector<float>(2));
  EXPECT_THROW(out.commit(), InternalError);
  EXPECT_THROW(out.append(std::vector<float>(3)), InternalError);
  EXPECT_FALSE(fs_.exists("a.npy"));
}

TEST_F(NpyTest, BrokenFiles) {
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
  EXPECT_EQ(error_for(good, 7).what, "the file holds 7 bytes of data");
  EXPECT_EQ(error_for(good, 9).expected, "8 for its shape");
  EXPECT_THAT(error_for("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", 8).what,
              HasSubstr("'<f8'"));
  EXPECT_THAT(error_for("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", 8).what,
              HasSubstr("Fortran"));
  EXPECT_THAT(error_for("{'descr': '<f4', 'shape': (2,), }", 8).what, HasSubstr("incomplete"));
  EXPECT_THAT(error_for("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", 8).what,
              HasSubstr("no sizes"));
  EXPECT_THAT(
      error_for("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 8)
          .expected,
      HasSubstr("a shape that fits"));
  EXPECT_THAT(
      error_for("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,), }", 8)
          .what,
      HasSubstr("no sizes"));
  EXPECT_THAT(error_for("{'descr': '<f4', 'fortran_order': False, 'shape': (2", 8).what,
              HasSubstr("dictionary"));
  EXPECT_THAT(error_for("{'descr': '<f4', 'descr': '<f4', 'shape': (2,), }", 8).expected,
              HasSubstr("each once"));
  EXPECT_THAT(error_for(good + "x", 8).what, HasSubstr("text follows"));
  EXPECT_THAT(error_for("", 0).what, HasSubstr("dictionary"));
}

TEST_F(NpyTest, NotNpy) {
  const auto error = [&](const std::string& content) {
    fs_.put("a.npy", content);
    return error_of([&] { read_npy(fs_, "a.npy"); }).what;
  };
  EXPECT_THAT(error(""), HasSubstr("does not start"));
  EXPECT_THAT(error("PK\x03\x04 twelve bytes"), HasSubstr("does not start"));
  EXPECT_THAT(error(std::string("\x93NUMPY\x04\x00\x00\x00", 10)), HasSubstr("version 4.0"));
  EXPECT_THAT(error(std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12)), HasSubstr("4294967295"));
  EXPECT_THAT(error(std::string("\x93NUMPY\x01\x00\x76\x00{", 11)),
              HasSubstr("the header claims 118"));
}

}  // namespace
}  // namespace switchyard
