import CLinux
import Foundation

@testable import ReusePortKit

/// A process as it is known beyond its number.
struct Known: Equatable {
    let pid: pid_t
    let start: String

    /// Ends it, and no other that has its number by now.
    func kill() {
        let descriptor = Int32(clinuxPidfdOpen(pid))
        if descriptor < 0 { return }
        defer { close(descriptor) }
        if startTime(of: pid) == start {
            clinux_syscall(Int(CLINUX_SYS_pidfd_send_signal), Int(descriptor), Int(SIGKILL), 0, 0, 0, 0)
        }
    }
}

/// The fields of proc_pid_stat(5) from the state on.
private func statusFields(of pid: pid_t) -> [Substring] {
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .isoLatin1),
        let end = text.lastIndex(of: ")")
    else { return [] }
    return text[text.index(end, offsetBy: 2)...].split(separator: " ")
}

/// The state letter of a process.
func state(of pid: pid_t) -> Character? { statusFields(of: pid).first?.first }

/// Nil for a process that has ended.
func startTime(of pid: pid_t) -> String? {
    let fields = statusFields(of: pid)
    return fields.count > 19 && fields[0] != "Z" ? String(fields[19]) : nil
}

func parent(of pid: pid_t) -> pid_t { statusFields(of: pid).dropFirst().first.flatMap { pid_t($0) } ?? 0 }

func isStopped(_ pid: pid_t) -> Bool { state(of: pid) == "T" }

/// Whether it has ended, whoever has to be told of that yet.
func hasEnded(_ pid: pid_t) -> Bool { startTime(of: pid) == nil }

/// pidfd_open(2)
func clinuxPidfdOpen(_ pid: pid_t) -> Int { clinux_syscall(Int(CLINUX_SYS_pidfd_open), Int(pid), 0, 0, 0, 0, 0) }
