#include "instantnet/nn/torch_file.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"

namespace instantnet::nn {
namespace {

static_assert(std::endian::native == std::endian::little, "torch.save files are little-endian");

constexpr const char* kSaveAgain =
    "save it again in Python with torch >= 1.6: torch.save(model.state_dict(), 'weights.pt')";

using Kind = PyValue::Kind;

/// Bytes read one after the other; Error instead of reading beyond the end.
class Bytes {
 public:
  Bytes(std::string_view bytes, std::string where, size_t at = 0)
      : bytes_(bytes), where_(std::move(where)), at_(at) {}

  [[noreturn]] void refuse(const std::string& what) const {
    fail(where_, fmt::format("offset {}: {}; {}.", at_, what, kSaveAgain));
  }
  size_t at() const { return at_; }
  size_t left() const { return bytes_.size() - at_; }
  std::string_view take(uint64_t count) {
    if (count > left())
      refuse(fmt::format("{} bytes are missing, the file is truncated", count - left()));
    const std::string_view result = bytes_.substr(at_, count);
    at_ += count;
    return result;
  }
  /// A little-endian number.
  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string line() {
    const size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) refuse("a line has no end");
    std::string text(take(end - at_));
    take(1);
    return text;
  }

 private:
  std::string_view bytes_;
  std::string where_;
  size_t at_;
};

// ---- The zip archive (PKWARE APPNOTE 6.3), as PyTorch writes it: nothing compressed.

/// Where a file of the archive lies.
struct Member {
  size_t begin = 0, size = 0;
  uint32_t crc = 0;
};

class Archive {
 public:
  Archive(std::string_view bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {
    Bytes directory = find_directory();
    for (uint64_t i = 0; i < count_; ++i) read_entry(directory);
  }
  const std::map<std::string, Member>& members() const { return members_; }

 private:
  static constexpr std::string_view kEnd{"PK\5\6", 4}, kEnd64{"PK\6\6", 4}, kEntry{"PK\1\2", 4},
      kLocal{"PK\3\4", 4};

  Bytes at(uint64_t offset) const {
    if (offset > bytes_.size()) fail(where_, fmt::format("is truncated; {}.", kSaveAgain));
    return Bytes(bytes_, where_, offset);
  }
  void expect(Bytes& bytes, std::string_view mark) const {
    if (bytes.take(4) != mark) bytes.refuse("the zip archive is damaged");
  }

  /// Bytes at the first entry of the directory; sets count_.
  Bytes find_directory() {
    const size_t end = bytes_.rfind(kEnd);
    if (end == std::string_view::npos)
      fail(where_, fmt::format("is truncated: the zip archive has no end; {}.", kSaveAgain));
    Bytes tail = at(end + 10);
    count_ = tail.number<uint16_t>();
    tail.take(4);
    uint64_t offset = tail.number<uint32_t>();
    constexpr size_t kLocatorBytes = 20;
    if (end >= kLocatorBytes &&
        bytes_.substr(end - kLocatorBytes, 4) == std::string_view("PK\6\7", 4)) {
      Bytes tail64 = at(at(end - kLocatorBytes + 8).number<uint64_t>());
      expect(tail64, kEnd64);
      tail64.take(28);
      count_ = tail64.number<uint64_t>();
      tail64.take(8);
      offset = tail64.number<uint64_t>();
    }
    return at(offset);
  }

  void read_entry(Bytes& directory) {
    expect(directory, kEntry);
    directory.take(6);
    const auto method = directory.number<uint16_t>();
    directory.take(4);
    Member member;
    member.crc = directory.number<uint32_t>();
    uint64_t packed = directory.number<uint32_t>(), size = directory.number<uint32_t>();
    const auto name_bytes = directory.number<uint16_t>(),
               extra_bytes = directory.number<uint16_t>(),
               comment_bytes = directory.number<uint16_t>();
    directory.take(8);
    uint64_t local = directory.number<uint32_t>();
    const std::string name(directory.take(name_bytes));
    read_large_sizes(Bytes(directory.take(extra_bytes), where_), {&size, &packed, &local});
    directory.take(comment_bytes);
    if (method != 0) directory.refuse(fmt::format("'{}' in the zip archive is compressed", name));
    member.begin = data_of(local);
    member.size = size;
    at(member.begin).take(size);
    members_[name] = member;
  }

  /// The zip64 extra field holds those of the numbers that do not fit into 32 bits.
  void read_large_sizes(Bytes extra, const std::array<uint64_t*, 3>& numbers) const {
    while (extra.left() >= 4) {
      const auto id = extra.number<uint16_t>(), size = extra.number<uint16_t>();
      Bytes field(extra.take(size), where_);
      if (id != 1) continue;
      for (uint64_t* number : numbers)
        if (*number == 0xFFFFFFFF) *number = field.number<uint64_t>();
    }
  }

  size_t data_of(uint64_t local) const {
    Bytes header = at(local);
    expect(header, kLocal);
    header.take(22);
    const auto name_bytes = header.number<uint16_t>(), extra_bytes = header.number<uint16_t>();
    header.take(uint64_t{name_bytes} + extra_bytes);
    return header.at();
  }

  std::string_view bytes_;
  std::string where_;
  uint64_t count_ = 0;
  std::map<std::string, Member> members_;
};

/// CRC-32 of zip (ISO 3309), a byte at a time.
uint32_t crc32(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> made{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
      uint32_t crc = byte;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320U : 0U);
      made[byte] = crc;
    }
    return made;
  }();
  uint32_t crc = ~uint32_t{0};
  for (const char byte : bytes) crc = (crc >> 8) ^ table[(crc ^ static_cast<uint8_t>(byte)) & 0xFF];
  return ~crc;
}

// ---- Pickle (PEP 3154 and before), the opcodes that protocols 2..4 write for data.

struct StorageType {
  const char* name;
  at::ScalarType type;
};
constexpr StorageType kStorageTypes[] = {
    {"torch.FloatStorage", at::kFloat}, {"torch.DoubleStorage", at::kDouble},
    {"torch.HalfStorage", at::kHalf},   {"torch.BFloat16Storage", at::kBFloat16},
    {"torch.LongStorage", at::kLong},   {"torch.IntStorage", at::kInt},
    {"torch.ShortStorage", at::kShort}, {"torch.CharStorage", at::kChar},
    {"torch.ByteStorage", at::kByte},   {"torch.BoolStorage", at::kBool}};

/// "torch.cuda.FloatStorage" and "torch.FloatStorage" alike. Error for others.
at::ScalarType storage_type(std::string name, const Bytes& bytes) {
  constexpr std::string_view kCuda = "torch.cuda.";
  if (name.starts_with(kCuda)) name = "torch." + name.substr(kCuda.size());
  for (const StorageType& one : kStorageTypes)
    if (name == one.name) return one.type;
  bytes.refuse(fmt::format("numbers of type '{}' are not read", name));
}

/// Runs one pickle. Values are made in `values`, which owns them.
class Unpickler {
 public:
  Unpickler(Bytes& bytes, std::deque<PyValue>& values) : bytes_(bytes), values_(values) {}

  PyValue* run() {
    for (;;) {
      const auto code = bytes_.number<uint8_t>();
      if (code == '.') return pop();
      if (!scalar(code) && !container(code) && !object(code) && !memory(code))
        bytes_.refuse(fmt::format("pickle opcode 0x{:02x} is unknown", code));
    }
  }

 private:
  PyValue* make(Kind kind) {
    values_.emplace_back().kind = kind;
    return &values_.back();
  }
  void push(PyValue* value) { stack_.push_back(value); }
  PyValue* top() const {
    if (stack_.empty()) bytes_.refuse("the pickle is damaged (its stack is empty)");
    return stack_.back();
  }
  PyValue* pop() {
    PyValue* value = top();
    stack_.pop_back();
    return value;
  }
  std::vector<PyValue*> pop_count(size_t count) {
    if (count > stack_.size()) bytes_.refuse("the pickle is damaged (its stack is too short)");
    std::vector<PyValue*> result(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return result;
  }
  std::vector<PyValue*> pop_to_mark() {
    if (marks_.empty() || marks_.back() > stack_.size())
      bytes_.refuse("the pickle is damaged (a mark is missing)");
    const size_t mark = marks_.back();
    marks_.pop_back();
    return pop_count(stack_.size() - mark);
  }

  bool push_int(int64_t value, Kind kind = Kind::Int) {
    PyValue* made = make(kind);
    made->integer = value;
    push(made);
    return true;
  }
  bool push_text(std::string_view text) {
    PyValue* made = make(Kind::Text);
    made->text = text;
    push(made);
    return true;
  }
  bool push_list(std::vector<PyValue*> items) {
    PyValue* made = make(Kind::List);
    made->items = std::move(items);
    push(made);
    return true;
  }
  bool push_object(std::string name) {
    PyValue* made = make(Kind::Object);
    made->text = std::move(name);
    push(made);
    return true;
  }

  /// Little-endian two's complement of any length; numbers beyond 64 bits keep their low bits.
  bool push_long(uint64_t size) {
    const std::string_view digits = bytes_.take(size);
    uint64_t value = !digits.empty() && (digits.back() & 0x80) != 0 ? ~uint64_t{0} : 0;
    for (size_t i = std::min<size_t>(digits.size(), 8); i-- > 0;)
      value = (value << 8) | static_cast<uint8_t>(digits[i]);
    return push_int(static_cast<int64_t>(value));
  }
  bool push_float() {
    uint64_t swapped = 0;
    for (const char byte : bytes_.take(8)) swapped = (swapped << 8) | static_cast<uint8_t>(byte);
    PyValue* made = make(Kind::Float);
    made->number = std::bit_cast<double>(swapped);
    push(made);
    return true;
  }

  bool scalar(uint8_t code) {
    switch (code) {
      case 'N':
        push(make(Kind::None));
        return true;
      case 0x88:
        return push_int(1, Kind::Bool);
      case 0x89:
        return push_int(0, Kind::Bool);
      case 'J':
        return push_int(bytes_.number<int32_t>());
      case 'K':
        return push_int(bytes_.number<uint8_t>());
      case 'M':
        return push_int(bytes_.number<uint16_t>());
      case 0x8a:
        return push_long(bytes_.number<uint8_t>());
      case 0x8b:
        return push_long(bytes_.number<uint32_t>());
      case 'G':
        return push_float();
      case 'X':
      case 'T':
      case 'B':
        return push_text(bytes_.take(bytes_.number<uint32_t>()));
      case 'U':
      case 'C':
      case 0x8c:
        return push_text(bytes_.take(bytes_.number<uint8_t>()));
      case 0x8d:
      case 0x8e:
        return push_text(bytes_.take(bytes_.number<uint64_t>()));
      default:
        return false;
    }
  }

  bool set_items(const std::vector<PyValue*>& items) {
    PyValue* target = top();
    if (items.size() % 2 != 0 || (target->kind != Kind::Dict && target->kind != Kind::Object))
      bytes_.refuse("the pickle is damaged (items without a dictionary)");
    for (size_t i = 0; i < items.size(); i += 2)
      target->entries.emplace_back(items[i], items[i + 1]);
    return true;
  }
  bool append(const std::vector<PyValue*>& items) {
    PyValue* target = top();
    if (target->kind != Kind::List && target->kind != Kind::Object)
      bytes_.refuse("the pickle is damaged (items without a list)");
    target->items.insert(target->items.end(), items.begin(), items.end());
    return true;
  }

  bool container(uint8_t code) {
    switch (code) {
      case '(':
        marks_.push_back(stack_.size());
        return true;
      case '}':
        push(make(Kind::Dict));
        return true;
      case ']':
      case ')':
      case 0x8f:
        return push_list({});
      case 't':
      case 'l':
        return push_list(pop_to_mark());
      case 0x85:
        return push_list(pop_count(1));
      case 0x86:
        return push_list(pop_count(2));
      case 0x87:
        return push_list(pop_count(3));
      case 's':
        return set_items(pop_count(2));
      case 'u':
        return set_items(pop_to_mark());
      case 'a':
        return append(pop_count(1));
      case 'e':
      case 0x90:
        return append(pop_to_mark());
      case '0':
        pop();
        return true;
      default:
        return false;
    }
  }

  bool object(uint8_t code) {
    switch (code) {
      case 'c': {
        const std::string module = bytes_.line();
        return push_object(module + "." + bytes_.line());
      }
      case 0x93: {
        const std::vector<PyValue*> names = pop_count(2);
        return push_object(names[0]->text + "." + names[1]->text);
      }
      case 'R':
      case 0x81: {
        const std::vector<PyValue*> call = pop_count(2);
        push(apply(*call[0], *call[1]));
        return true;
      }
      case 'b':
        pop_count(1);
        top();
        return true;  // attributes of an object: not needed
      case 'Q':
        push(storage(*pop()));
        return true;
      default:
        return false;
    }
  }

  bool memory(uint8_t code) {
    switch (code) {
      case 0x80:
        bytes_.take(1);
        return true;  // protocol
      case 0x95:
        bytes_.take(8);
        return true;  // frame
      case 0x94:
        memo_[memo_.size()] = top();
        return true;
      case 'q':
        memo_[bytes_.number<uint8_t>()] = top();
        return true;
      case 'r':
        memo_[bytes_.number<uint32_t>()] = top();
        return true;
      case 'h':
        return recall(bytes_.number<uint8_t>());
      case 'j':
        return recall(bytes_.number<uint32_t>());
      default:
        return false;
    }
  }
  bool recall(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) bytes_.refuse("the pickle is damaged (a memo is missing)");
    push(found->second);
    return true;
  }

  const PyValue& argument(const PyValue& arguments, size_t index, Kind kind) const {
    if (arguments.kind != Kind::List || index >= arguments.items.size() ||
        arguments.items[index]->kind != kind)
      bytes_.refuse("the pickle is damaged (a call has other arguments than expected)");
    return *arguments.items[index];
  }
  std::vector<int64_t> integers(const PyValue& list) const {
    std::vector<int64_t> result;
    for (size_t i = 0; i < list.items.size(); ++i)
      result.push_back(argument(list, i, Kind::Int).integer);
    return result;
  }

  /// The few calls whose result is data; everything else becomes an opaque object.
  PyValue* apply(const PyValue& callee, const PyValue& arguments) {
    if (callee.kind != Kind::Object) bytes_.refuse("the pickle is damaged (a call of no function)");
    const std::string& name = callee.text;
    if (name == "collections.OrderedDict") return make(Kind::Dict);
    if (name == "torch._utils._rebuild_tensor_v2" || name == "torch._utils._rebuild_tensor")
      return tensor(arguments);
    const bool wraps_data = name == "torch._utils._rebuild_parameter" ||
                            name == "torch._utils._rebuild_parameter_with_state" ||
                            name.starts_with("torch.jit._pickle.");  // type tags of libtorch
    if (wraps_data && arguments.kind == Kind::List && !arguments.items.empty())
      return arguments.items[0];
    push_object(name);
    return pop();
  }

  /// (storage, offset, size, stride, ...)
  PyValue* tensor(const PyValue& arguments) {
    argument(arguments, 0, Kind::Storage);
    PyValue* made = make(Kind::Tensor);
    made->items = {arguments.items[0]};
    made->integer = argument(arguments, 1, Kind::Int).integer;
    made->sizes = integers(argument(arguments, 2, Kind::List));
    made->strides = integers(argument(arguments, 3, Kind::List));
    return made;
  }

  /// ("storage", class, key, device, elements[, view])
  PyValue* storage(const PyValue& id) {
    if (argument(id, 0, Kind::Text).text != "storage")
      bytes_.refuse("a persistent value is no tensor storage");
    PyValue* made = make(Kind::Storage);
    made->type = storage_type(argument(id, 1, Kind::Object).text, bytes_);
    made->text = argument(id, 2, Kind::Text).text;
    made->integer = argument(id, 4, Kind::Int).integer;
    if (id.items.size() > 5 && id.items[5]->kind != Kind::None)
      bytes_.refuse("views of storages (torch before 0.4) are not read");
    return made;
  }

  Bytes& bytes_;
  std::deque<PyValue>& values_;
  std::vector<PyValue*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, PyValue*> memo_;
};

/// The first bytes of the older format: a pickle of the number 0x1950a86a20f9469cfc6c.
constexpr std::string_view kStreamStart{"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
                                        15};

/// Number of elements that a strided tensor reaches into its storage; -1 when it is malformed.
int64_t reach(const PyValue& tensor) {
  constexpr int64_t kMost = int64_t{1} << 40;
  if (tensor.sizes.size() != tensor.strides.size() || tensor.integer < 0 || tensor.integer > kMost)
    return -1;
  int64_t last = tensor.integer, elements = 1;
  bool empty = false;
  for (size_t i = 0; i < tensor.sizes.size(); ++i) {
    const int64_t size = tensor.sizes[i], stride = tensor.strides[i];
    if (size < 0 || stride < 0 || size > kMost || stride > kMost) return -1;
    empty = empty || size == 0;
    if (empty) continue;
    if (elements > kMost / size || (stride > 0 && size - 1 > kMost / stride)) return -1;
    elements *= size;
    last += (size - 1) * stride;
    if (last > kMost) return -1;
  }
  if (empty) return 0;
  // Expanded tensors (stride 0) need more numbers than are stored; a damaged one must not take all
  // memory.
  if (elements > std::max(tensor.items[0]->integer, int64_t{1} << 24)) return -1;
  return last + 1;
}

}  // namespace

TorchFile::TorchFile(const std::string& path) : path_(path), bytes_(read_file(path)) {
  const std::string_view start = std::string_view(bytes_).substr(0, kStreamStart.size());
  if (start.starts_with("PK\3\4")) {
    read_archive();
  } else if (start == kStreamStart) {
    read_stream();
  } else {
    fail(path_, fmt::format("is not a file of torch.save{}; {}.",
                            bytes_.empty() ? " (it is empty)" : "", kSaveAgain));
  }
}

void TorchFile::read_archive() {
  const Archive archive(bytes_, path_);
  const Member* pickle = nullptr;
  std::string folder;
  for (const auto& [name, member] : archive.members()) {
    const size_t slash = name.find('/');
    if (slash == std::string::npos || name.substr(slash) != "/data.pkl") continue;
    pickle = &member;
    folder = name.substr(0, slash);
  }
  if (pickle == nullptr)
    fail(path_, fmt::format("is a zip archive without data.pkl, not a file of torch.save; {}.",
                            kSaveAgain));
  const std::string_view all(bytes_);
  const std::string data = folder + "/data/";
  for (const auto& [name, member] : archive.members()) {
    const std::string_view bytes = all.substr(member.begin, member.size);
    if (crc32(bytes) != member.crc)
      fail(path_,
           fmt::format("is damaged: the CRC-32 of '{}' does not match; {}.", name, kSaveAgain));
    if (name == folder + "/byteorder" && bytes.starts_with("big"))
      fail(path_, fmt::format("is big-endian; {} on a little-endian machine.", kSaveAgain));
    if (name.starts_with(data)) storages_[name.substr(data.size())] = {member.begin, member.size};
  }
  Bytes bytes(all.substr(pickle->begin, pickle->size), path_ + " (" + folder + "/data.pkl)");
  top_ = Unpickler(bytes, values_).run();
}

/// Pickles of a magic number, a version, facts of the machine, the value, the list of storage keys;
/// then for each key the number of elements (int64) and the elements.
void TorchFile::read_stream() {
  Bytes bytes(bytes_, path_);
  for (int i = 0; i < 3; ++i) Unpickler(bytes, values_).run();
  const size_t first = values_.size();
  top_ = Unpickler(bytes, values_).run();
  std::map<std::string, at::ScalarType> types;
  for (size_t i = first; i < values_.size(); ++i)
    if (values_[i].kind == Kind::Storage) types[values_[i].text] = values_[i].type;
  const PyValue* keys = Unpickler(bytes, values_).run();
  for (const PyValue* key : keys->items) {
    const auto found = types.find(key->text);
    if (found == types.end()) bytes.refuse("a storage belongs to no tensor");
    const auto count = bytes.number<uint64_t>();
    if (count > bytes.left()) bytes.refuse("a storage is cut short, the file is truncated");
    const size_t at = bytes.at();
    const size_t size = bytes.take(count * c10::elementSize(found->second)).size();
    storages_[key->text] = {at, size};
  }
}

at::Tensor TorchFile::tensor(const PyValue& value) const {
  if (value.kind != Kind::Tensor) bug("TorchFile::tensor of another value");
  const PyValue& storage = *value.items[0];
  const auto found = storages_.find(storage.text);
  const int64_t element = static_cast<int64_t>(c10::elementSize(storage.type));
  if (found == storages_.end() ||
      static_cast<int64_t>(found->second.second) / element < storage.integer || storage.integer < 0)
    fail(path_, fmt::format("is damaged: the numbers of storage '{}' are missing; {}.",
                            storage.text, kSaveAgain));
  const int64_t reached = reach(value);
  if (reached < 0 || reached > storage.integer)
    fail(path_, fmt::format("is damaged: a tensor reaches beyond storage '{}'; {}.", storage.text,
                            kSaveAgain));
  const std::string key = fmt::format("{} {}", storage.text, static_cast<int>(storage.type));
  at::Tensor& whole = loaded_[key];
  if (!whole.defined()) {
    whole = at::empty({storage.integer}, at::TensorOptions(storage.type));
    if (storage.integer > 0)
      std::memcpy(whole.data_ptr(), bytes_.data() + found->second.first, whole.nbytes());
  }
  if (reached == 0) return at::empty(value.sizes, at::TensorOptions(storage.type));
  return whole.as_strided(value.sizes, value.strides, value.integer)
      .clone(at::MemoryFormat::Contiguous);
}

}  // namespace instantnet::nn
