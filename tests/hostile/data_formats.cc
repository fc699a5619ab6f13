// Data sets and numbers: npy, text, JSONL, TSV, IDX, CIFAR-10, compressed files.
#include <lzma.h>
#include <nlohmann/json.hpp>
#include <zlib.h>

#include "base/check.h"
#include "formats/data/decompress.h"
#include "formats/data/images.h"
#include "formats/data/tables.h"
#include "formats/data/text.h"
#include "formats/json.h"
#include "formats/npy.h"
#include "hostile/formats.h"
#include "support/memory_file_system.h"

namespace switchyard::hostile {
namespace {

using testing_support::MemoryFileSystem;

constexpr std::uint64_t kDecompressLimit = 1 << 20;

std::string idx_header(std::size_t rank, std::string_view dimensions) {
  std::string header("\x00\x00\x08", 3);
  return header.append(1, static_cast<char>(rank)).append(dimensions);
}

void decompress_all(std::string_view bytes, data::Compression compression) {
  MemoryFileSystem fs;
  fs.put("f", bytes);
  SWITCHYARD_CHECK(data::decompress(*fs.open("f"), compression, kDecompressLimit).size() <=
                   kDecompressLimit);
}

}  // namespace

std::vector<std::string> npy_seeds() {
  std::vector<std::string> seeds;
  for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{}, {1}, {2, 3}}) {
    MemoryFileSystem fs;
    write_npy(fs, "a.npy", shape, std::vector<float>(shape.size() == 2 ? 6 : 1));
    seeds.push_back(read_file(fs, "a.npy"));
  }
  return seeds;
}

void read_npy(std::string_view bytes) {
  MemoryFileSystem fs;
  fs.put("a.npy", bytes);
  const NpyArray array = switchyard::read_npy(fs, "a.npy");
  write_npy(fs, "b.npy", array.shape, array.values);
  SWITCHYARD_CHECK(switchyard::read_npy(fs, "b.npy").shape == array.shape);
}

std::vector<std::string> text_seeds() {
  return {"<|one|>\ntext\n\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80<|endoftext|>\r\n\nmore"};
}

void read_text(std::string_view bytes) {
  MemoryFileSystem fs;
  fs.put("a.txt", bytes);
  const std::string text = data::read_text(fs, "a.txt");
  // JSON carries exactly the valid UTF-8, so a second implementation agrees that this is.
  SWITCHYARD_CHECK(nlohmann::json(text).dump().size() >= text.size());
  std::size_t characters = 0;
  for (const std::string_view line : data::split_lines(text)) characters += line.size();
  SWITCHYARD_CHECK(characters <= text.size());
  for (const std::string_view document : data::split_documents(text, "<|endoftext|>")) {
    SWITCHYARD_CHECK(document.find("<|endoftext|>") == std::string_view::npos);
  }
  for (const data::MarkedDocument& document : data::split_marked_documents(text)) {
    SWITCHYARD_CHECK(document.name.size() + document.text.size() <= text.size());
  }
}

std::vector<std::string> jsonl_seeds() {
  return {"{\"q\": \"one\"}\n\n{\"q\": \"two\", \"n\": [1, 2.5, null]}\n"};
}

void read_jsonl(std::string_view bytes) {
  MemoryFileSystem fs;
  fs.put("a.jsonl", bytes);
  data::read_jsonl(fs, "a.jsonl", "q");
}

std::vector<std::string> tsv_seeds() { return {"sentence\tlabel\r\na \"b\t1\r\n\t\r\n"}; }

void read_tsv(std::string_view bytes) {
  const data::Table table = data::parse_tsv(bytes, true, "a.tsv");
  for (const auto& row : table.rows) SWITCHYARD_CHECK(row.size() == table.columns.size());
}

std::vector<std::string> idx_seeds() {
  using namespace std::string_view_literals;
  return {join(idx_header(3, "\0\0\0\2\0\0\0\1\0\0\0\3"sv) + "abcdef",
               idx_header(1, "\0\0\0\2"sv) + "\x01\x09")};
}

void read_idx(std::string_view bytes) {
  const auto [images, labels] = split(bytes);
  const data::ImageSet set = data::parse_idx(images, labels, 10, "images", "labels");
  SWITCHYARD_CHECK(set.pixels.size() == set.count * set.channels * set.height * set.width);
  SWITCHYARD_CHECK(set.labels.size() == set.count);
}

std::vector<std::string> cifar10_seeds() { return {"\x03" + std::string(3072, 'p')}; }

void read_cifar10(std::string_view bytes) {
  data::ImageSet set;
  data::parse_cifar10(bytes, "batch", set);
  SWITCHYARD_CHECK(set.pixels.size() == set.count * 3072);
}

std::vector<std::string> xz_seeds() {
  const std::string text = "some text, some text, some text";
  std::string out(lzma_stream_buffer_bound(text.size()), '\0');
  std::size_t size = 0;
  const lzma_ret status = lzma_easy_buffer_encode(
      0, LZMA_CHECK_CRC32, nullptr, reinterpret_cast<const std::uint8_t*>(text.data()), text.size(),
      reinterpret_cast<std::uint8_t*>(out.data()), &size, out.size());
  SWITCHYARD_CHECK(status == LZMA_OK);
  out.resize(size);
  return {out, out + out};
}

void read_xz(std::string_view bytes) { decompress_all(bytes, data::Compression::xz); }

std::vector<std::string> gzip_seeds() {
  std::string text = "some text, some text, some text";
  z_stream stream{};
  SWITCHYARD_CHECK(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(256, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  SWITCHYARD_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return {out, out + out};
}

void read_gzip(std::string_view bytes) { decompress_all(bytes, data::Compression::gzip); }

}  // namespace switchyard::hostile
