#include "instantnet/core/run_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstring>

#include "core/helpers.h"

namespace instantnet {
namespace {

using test::error_of;
using test::slurp;
using test::spill;
using test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;

Tree record(int step) { return Tree::map().set("step", Tree::of(step)); }

// ---- JSON lines.

TEST(RunLog, TimesAlwaysTakeTheSameSpace) {
  for (const double value : {0.0, 1.0, 2 * wall_time(), 0.037, 1e-9})
    EXPECT_EQ(by_the_clock(value).scalar.size(), 12U) << value;
}

TEST(RunLog, WritesOneRecordALine) {
  const TempFolder folder;
  RunLog log(folder / "run.jsonl");
  log.write(record(1).set("note", Tree::of("a\nb")));
  EXPECT_EQ(slurp(folder / "run.jsonl"), "{\"step\": 1, \"note\": \"a\\nb\"}\n");  // before closing
  log.write(Tree::map().set("accuracy", Tree::map().set("4", Tree::of(0.5))));
  EXPECT_EQ(slurp(folder / "run.jsonl").substr(28), "{\"accuracy\": {\"4\": 0.5}}\n");
  EXPECT_EQ(log.bytes(), 53);
}

TEST(RunLog, GoesOnWhereItWas) {
  const TempFolder folder;
  RunLog(folder / "run.jsonl").write(record(1));
  RunLog(folder / "run.jsonl").write(record(2));
  EXPECT_EQ(slurp(folder / "run.jsonl"), "{\"step\": 1}\n{\"step\": 2}\n");
}

TEST(RunLog, DropsALineThatACrashCutShort) {
  const TempFolder folder;
  for (const std::string& whole :
       {std::string(), std::string("{}\n"), std::string(200000, ' ') + "\n"})
    for (const std::string& rest :
         {std::string(), std::string("{\"ste"), std::string(100000, '\0')}) {
      spill(folder / "run.jsonl", whole + rest);
      EXPECT_EQ(RunLog(folder / "run.jsonl").bytes(), static_cast<int64_t>(whole.size()));
      EXPECT_EQ(slurp(folder / "run.jsonl"), whole);
    }
}

TEST(RunLog, CutsWhatCameAfterTheCheckpoint) {
  const TempFolder folder;
  const std::string path = folder / "run.jsonl";
  spill(path, "{\"step\": 1}\n{\"step\": 2}\n");
  EXPECT_EQ(RunLog(path, 100).bytes(), 24);  // shorter than the checkpoint knew: stays
  RunLog(path, 12).write(record(3));
  EXPECT_EQ(slurp(path), "{\"step\": 1}\n{\"step\": 3}\n");
  EXPECT_EQ(RunLog(path, 14).bytes(), 12);  // in the middle of a line
  EXPECT_EQ(RunLog(path, 0).bytes(), 0);
}

TEST(RunLog, NamesTheFileThatCannotBeWritten) {
  const TempFolder folder;
  RunLog full("/dev/full");
  EXPECT_EQ(error_of([&] { full.write(record(1)); }),
            "/dev/full: cannot be written: No space left on device.");
  EXPECT_EQ(error_of([&] { RunLog(folder / "no/run.jsonl"); }),
            folder / "no/run.jsonl" + ": cannot be opened for writing: No such file or directory.");
  EXPECT_EQ(error_of([&] { RunLog log(folder.path()); }),
            folder.path() + ": cannot be opened for writing: Is a directory.");
}

TEST(RunLog, ARecordIsAMap) {
  const TempFolder folder;
  RunLog log(folder / "run.jsonl");
  EXPECT_THROW(log.write(Tree::of(1)), Bug);
}

// ---- An independent, slow reader of event files.

/// CRC-32C bit by bit, masked as TFRecord does.
uint32_t slow_masked_crc(const std::string& bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const char c : bytes)
    for (int bit = 0; bit < 8; ++bit) {
      const uint32_t in = static_cast<unsigned char>(c) >> bit & 1;
      crc = ((crc ^ in) & 1) != 0 ? crc >> 1 ^ 0x82F63B78 : crc >> 1;
    }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

template <class T>
T number_at(const std::string& bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.substr(at, sizeof(T)).data(), sizeof(T));
  return value;
}

/// Data of each record; fails the test on wrong framing.
std::vector<std::string> records_of(const std::string& file) {
  std::vector<std::string> records;
  for (size_t at = 0; at < file.size();) {
    const auto length = number_at<uint64_t>(file, at);
    EXPECT_EQ(number_at<uint32_t>(file, at + 8), slow_masked_crc(file.substr(at, 8)));
    records.push_back(file.substr(at + 12, length));
    EXPECT_EQ(number_at<uint32_t>(file, at + 12 + length), slow_masked_crc(records.back()));
    at += 16 + length;
  }
  return records;
}

/// Field number, wire type and payload of each field of a protobuf message.
struct ProtoField {
  uint64_t number, wire;
  uint64_t varint;
  std::string bytes;
};

uint64_t varint_at(const std::string& bytes, size_t& at) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.at(at++));
    value |= uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return value;
  }
}

std::vector<ProtoField> fields_of(const std::string& message) {
  std::vector<ProtoField> fields;
  for (size_t at = 0; at < message.size();) {
    const uint64_t tag = varint_at(message, at);
    ProtoField field{tag >> 3, tag & 7, 0, {}};
    size_t size = field.wire == 1 ? 8 : field.wire == 5 ? 4 : 0;
    if (field.wire == 0) field.varint = varint_at(message, at);
    if (field.wire == 2) size = varint_at(message, at);
    field.bytes = message.substr(at, size);
    at += size;
    fields.push_back(field);
  }
  return fields;
}

// ---- Event files.

TEST(TfRecord, FramesAsPublished) {
  EXPECT_EQ(masked_crc32c("123456789"), ((0xE3069283u >> 15) | (0xE3069283u << 17)) + 0xA282EAD8u);
  EXPECT_THAT(records_of(tf_record("hello") + tf_record("")), ElementsAre("hello", ""));
}

TEST(EventFile, StartsWithTheVersion) {
  const TempFolder folder;
  EventFile(folder / "events", -1, 12.5);
  const auto records = records_of(slurp(folder / "events"));
  ASSERT_EQ(records.size(), 1u);
  const auto fields = fields_of(records[0]);
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_EQ(fields[0].number, 1u);
  EXPECT_EQ(number_at<double>(fields[0].bytes, 0), 12.5);
  EXPECT_EQ(fields[1].number, 3u);
  EXPECT_EQ(fields[1].bytes, "brain.Event:2");
}

TEST(EventFile, HoldsScalarsAsEventProtoSays) {
  const TempFolder folder;
  EventFile events(folder / "events");
  events.scalars(300, 1.5, {{"loss/4", 0.25f}, {"lr", -2.0f}});
  const auto records = records_of(slurp(folder / "events"));
  ASSERT_EQ(records.size(), 2u);
  const auto event = fields_of(records[1]);
  ASSERT_EQ(event.size(), 3u);
  EXPECT_EQ(event[0].number, 1u);
  EXPECT_EQ(event[0].wire, 1u);
  EXPECT_EQ(number_at<double>(event[0].bytes, 0), 1.5);
  EXPECT_EQ(event[1].number, 2u);
  EXPECT_EQ(event[1].varint, 300u);
  EXPECT_EQ(event[2].number, 5u);
  const auto summary = fields_of(event[2].bytes);
  ASSERT_EQ(summary.size(), 2u);
  EXPECT_EQ(summary[0].number, 1u);
  const auto value = fields_of(summary[0].bytes);
  EXPECT_EQ(value.at(0).number, 1u);
  EXPECT_EQ(value.at(0).bytes, "loss/4");
  EXPECT_EQ(value.at(1).number, 2u);
  EXPECT_EQ(value.at(1).wire, 5u);
  EXPECT_EQ(number_at<float>(value.at(1).bytes, 0), 0.25f);
  EXPECT_EQ(number_at<float>(fields_of(summary[1].bytes).at(1).bytes, 0), -2.0f);
}

// Decoded by hand: field << 3 | wire type, then the value, little-endian.
TEST(EventFile, WritesTheseBytes) {
  const TempFolder folder;
  EventFile(folder / "events").scalars(1, 1.0, {{"a", 1.0f}});
  const std::string wanted(
      "\x09\0\0\0\0\0\0\xf0\x3f"  // 1, eight bytes: wall_time 1.0
      "\x10\x01"                  // 2, varint: step 1
      "\x2a\x0a"                  // 5, ten bytes: summary
      "\x0a\x08"                  //   1, eight bytes: value
      "\x0a\x01"
      "a"                  //     1, one byte: tag "a"
      "\x15\0\0\x80\x3f",  //     2, four bytes: simple_value 1.0f
      9 + 2 + 12);
  EXPECT_EQ(records_of(slurp(folder / "events")).at(1), wanted);
}

TEST(EventFile, GoesOnWithoutASecondVersion) {
  const TempFolder folder;
  EventFile(folder / "events").scalars(1, 1, {{"a", 1.0f}});
  EventFile(folder / "events").scalars(2, 2, {{"a", 2.0f}});
  EXPECT_EQ(records_of(slurp(folder / "events")).size(), 3u);
}

TEST(EventFile, DropsARecordThatACrashCutShortAnywhere) {
  const TempFolder folder;
  EventFile(folder / "events").scalars(1, 1, {{"a", 1.0f}});
  const std::string bytes = slurp(folder / "events");
  const size_t version = 16 + records_of(bytes)[0].size();
  for (size_t length = 0; length < bytes.size(); ++length) {
    spill(folder / "cut", bytes.substr(0, length));
    EventFile(folder / "cut").scalars(1, 1, {{"a", 1.0f}});
    EXPECT_EQ(slurp(folder / "cut"), bytes) << length << " of " << version;
  }
}

TEST(EventFile, DropsZerosThatAPowerCutLeft) {
  const TempFolder folder;
  EventFile(folder / "events").scalars(1, 1, {{"a", 1.0f}});
  const std::string bytes = slurp(folder / "events");
  spill(folder / "events", bytes + std::string(100, '\0'));
  EXPECT_EQ(EventFile(folder / "events").bytes(), static_cast<int64_t>(bytes.size()));
}

TEST(EventFile, CutsWhatCameAfterTheCheckpoint) {
  const TempFolder folder;
  int64_t checkpoint = 0;
  {
    EventFile events(folder / "events");
    events.scalars(1, 1, {{"a", 1.0f}});
    checkpoint = events.bytes();
    events.scalars(2, 2, {{"a", 2.0f}});
  }
  EXPECT_EQ(EventFile(folder / "events", checkpoint).bytes(), checkpoint);
  EXPECT_EQ(EventFile(folder / "events", checkpoint + 100).bytes(), checkpoint);
  EventFile(folder / "events", 0);
  EXPECT_EQ(records_of(slurp(folder / "events")).size(), 1u);
}

TEST(EventFile, RefusesAFileThatIsSomethingElse) {
  const TempFolder folder;
  for (const char* text : {"notes", "a longer text that somebody wrote"}) {
    spill(folder / "events", text);
    EXPECT_EQ(error_of([&] { EventFile(folder / "events"); }),
              folder / "events" +
                  ": is not a TensorBoard event file; give a new path, or move the file away.");
    EXPECT_EQ(slurp(folder / "events"), text);
  }
}

TEST(EventFile, NamesTheFileThatCannotBeWritten) {
  EXPECT_EQ(error_of([] { EventFile("/dev/full"); }),
            "/dev/full: cannot be written: No space left on device.");
}

}  // namespace
}  // namespace instantnet
