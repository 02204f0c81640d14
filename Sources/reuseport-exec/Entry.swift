import CLinux
import ReusePortKit

/// The linker's name for `main`: the package manager renames the entry point of executables on Linux, and argv is
/// taken here as C has it, because `CommandLine.arguments` mends bytes that are not UTF-8.
@c(reuseport_exec_main)
public func entry(argc: Int32, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Int32 {
    printFailure(Failure("do", "anything", .noSystemCall))
    return 0
}
