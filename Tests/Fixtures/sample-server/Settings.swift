import CLinux
import ReusePortKit

/// Settings from the environment. Times are in milliseconds there, and in microseconds here.
struct Settings {
    /// The first argument: the generation shown in every answer.
    let label: ByteString
    /// SAMPLE_BOOT_MS: the time to wait before accepting connections.
    let bootTime: Int64
    /// SAMPLE_CRASH: exit with code 3, at the end of the boot (`boot`, never ready) or later (`after-ready-MS`).
    let crash: Crash?
    /// SAMPLE_IGNORE_TERM=1: ignore SIGTERM.
    let ignoresTerm: Bool
    /// SAMPLE_KEEP_LISTENING=1: SIGTERM ends idle connections and makes every answer the last on its
    /// connection, but the listeners stay open and the process lives on.
    let keepsListening: Bool
    /// SAMPLE_NOTIFY=1: send READY=1 to NOTIFY_SOCKET after the boot.
    let notifies: Bool
    /// SAMPLE_READY_FD: the descriptor to write a newline to after the boot, and to close then.
    let readyDescriptor: Int32?
    /// SAMPLE_HEALTH: the status that /health answers, 200 if unset.
    let health: Int

    enum Crash {
        case atBoot
        case afterReady(Int64)
    }

    init(firstArgument: ByteString?) {
        label = firstArgument.flatMap { $0.hasPrefix("-") ? nil : $0 } ?? "sample"
        bootTime = Int64(environment("SAMPLE_BOOT_MS")?.decimal ?? 0) * 1000
        crash = environment("SAMPLE_CRASH").flatMap(Settings.crash)
        ignoresTerm = environment("SAMPLE_IGNORE_TERM") == "1"
        keepsListening = environment("SAMPLE_KEEP_LISTENING") == "1"
        notifies = environment("SAMPLE_NOTIFY") == "1"
        readyDescriptor = environment("SAMPLE_READY_FD")?.decimal.map { Int32(truncatingIfNeeded: $0) }
        health = Int(environment("SAMPLE_HEALTH")?.decimal ?? 200)
    }

    private static func crash(_ word: ByteString) -> Crash? {
        if word == "boot" { return .atBoot }
        let prefix: ByteString = "after-ready-"
        guard word.hasPrefix(prefix), let time = word.dropFirst(prefix.count).decimal else {
            say("unknown SAMPLE_CRASH \(word.printable); use boot or after-ready-MS")
            exit(100)
        }
        return .afterReady(Int64(time) * 1000)
    }
}

/// Returns the value of an environment variable; nil if it is unset or empty.
func environment(_ name: StaticString) -> ByteString? {
    let value = name.withUTF8Buffer { bytes in
        bytes.withMemoryRebound(to: CChar.self) { getenv($0.baseAddress!) }
    }
    guard let value, value.pointee != 0 else { return nil }
    return ByteString(cString: value)
}
