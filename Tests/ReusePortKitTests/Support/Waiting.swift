import Glibc

@testable import ReusePortKit

/// The longest any wait in these tests takes before it gives up: generous, because the machine may be slow and
/// busy. Nothing waits this long when all is well.
let patience = Milliseconds.seconds(40)

struct TimedOut: Error, CustomStringConvertible {
    let what: String
    let seen: String
    var description: String { "timed out waiting for \(what); seen so far: \(seen)" }
}

/// Asks again and again until the answer is yes; no once patience is over. For events that the kernel offers no
/// descriptor for.
func eventually(_ question: () throws -> Bool) rethrows -> Bool {
    let deadline = Deadline(after: patience)
    while try !question() {
        if deadline.hasPassed { return false }
        usleep(2000)
    }
    return true
}

/// The same for what a test cannot do without.
func waitUntil(_ what: String, _ condition: () throws -> Bool) throws {
    if try !eventually(condition) { throw TimedOut(what: what, seen: "nothing") }
}

/// Asks until the answer is the expected one, and gives back the last answer.
///
/// For everything about who has a socket: a child that another test is starting has copies of all our descriptors
/// until it executes its program.
func settled<Answer: Equatable>(_ expected: Answer, _ ask: () throws -> Answer) rethrows -> Answer {
    var answer = try ask()
    _ = try eventually {
        if answer != expected { answer = try ask() }
        return answer == expected
    }
    return answer
}
