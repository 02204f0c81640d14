import CLinux
import Foundation

/// linux/fcntl.h: of those headers that Swift does not read.
private let F_SETLEASE: Int32 = 1024

/// Waits until nobody has a file open for writing: execve(2) would fail with ETXTBSY. Whoever wrote it has closed it,
/// but a process that another test has made meanwhile holds what was open then, until its own exec. fcntl(2) grants a
/// lease for reading only when there is no writer; where it grants none at all, nothing is waited for.
func awaitNoWriter(_ path: String) throws {
    let fd = open(path, O_RDONLY | O_CLOEXEC)
    guard fd >= 0 else { throw Unavailable(description: "open \(path)") }
    defer { close(fd) }
    try waitUntil("the end of writing \(path)") {
        clinux_fcntl(fd, F_SETLEASE, Int(F_RDLCK)) == 0 || errno != EAGAIN
    }
}

/// Copies a file or a folder, whose programs can be run at once. Leaves out hidden names: a build in a folder of examples/
/// leaves much of no use.
func copyTree(_ source: String, to copy: String) throws {
    var status = stat()
    guard lstat(source, &status) == 0 else { throw Unavailable(description: "there is no \(source)") }
    if status.st_mode & S_IFMT == S_IFDIR {
        try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
        for name in try FileManager.default.contentsOfDirectory(atPath: source) where !name.hasPrefix(".") {
            try copyTree("\(source)/\(name)", to: "\(copy)/\(name)")
        }
    } else {
        try FileManager.default.copyItem(atPath: source, toPath: copy)
        if status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o111 != 0 { try awaitNoWriter(copy) }
    }
}
