// Files that are either whole or not there: atomic writes, reads with a sentence, digests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace instantnet {

/// The whole file as bytes. Error when it is missing, a folder, unreadable or larger than `most`
/// bytes.
std::string read_file(const std::string& path, uint64_t most = uint64_t{1} << 40);

/// A whole file's bytes; they stay as long as `keeper` or a copy of it lives.
struct FileBytes {
  std::string_view bytes;
  std::shared_ptr<const void> keeper;  // never null
};
/// As read_file, but a file is mapped into memory rather than copied where the system can: it must
/// not be changed or cut in place while the bytes are in use. Replacing it (write_file_atomic) is
/// fine.
FileBytes map_file(const std::string& path);

/// Writes to a temporary file in the same folder, flushes it to the disk (fsync), renames it over
/// `path` and flushes the folder. Error (with the system's reason, such as no space left) leaves no
/// temporary file and the old file untouched.
void write_file_atomic(const std::string& path, std::string_view bytes);

/// The same for a folder: `fill` writes into a fresh temporary folder beside `path`; when it
/// returns, every file is flushed and the folder takes the place of `path` (an old one is moved
/// away first and removed after). What `fill` throws passes through and leaves the old folder
/// untouched. After a crash between the two renames `recover_folder` puts the old one back.
/// `after_step` is for tests: it is told of each step that is done ("new made", "new filled", "new
/// flushed", "old moved away", "new in place", "old removed").
void write_folder_atomic(const std::string& path,
                         const std::function<void(const std::string& folder)>& fill,
                         const std::function<void(std::string_view step)>& after_step = {});

/// Finishes or undoes a write_folder_atomic of `path` that a crash interrupted, and removes
/// leftovers. Call before reading; safe while another process writes the folder.
void recover_folder(const std::string& path);

/// Makes a folder and its parents. Error with the system's reason.
void make_folders(const std::string& path);

/// SHA-256 (FIPS 180-4) as 64 hexadecimal digits.
std::string sha256(std::string_view bytes);
std::string sha256_file(const std::string& path);

/// CRC-32C (Castagnoli, polynomial 0x1EDC6F41, reflected), of RFC 3720 appendix B.4.
uint32_t crc32c(std::string_view bytes, uint32_t previous = 0);

}  // namespace instantnet
