/// The reason why the program cannot go on: the step, its object, the reason, and a remedy if there is one.
///
/// A failed system call throws an `Errno`, from which a `Failure` is made where step and object are known.
public struct Failure: Error, Sendable {
    /// Exit codes, like those of s6 and execline.
    public enum Code: Int32, Sendable {
        /// The answer is no: not ready, handoff failed, unknown app.
        case negative = 1
        /// The command line or the configuration file is wrong.
        case usage = 100
        /// A system call failed.
        case system = 111
        /// The target was found but cannot be executed.
        case notExecutable = 126
        /// The target was not found.
        case notFound = 127
    }

    /// The parts of the message. A class, because every throwing function passes the failure on: one pointer is quick.
    private final class Content: Sendable {
        let code: Code
        let step: ByteString
        let object: ByteString
        let reason: ByteString
        let remedy: ByteString?

        init(
            _ code: Code, _ step: ByteString, _ object: ByteString, _ reason: ByteString, _ remedy: ByteString?
        ) {
            self.code = code
            self.step = step
            self.object = object
            self.reason = reason
            self.remedy = remedy
        }
    }

    private let content: Content

    /// What the program exits with.
    public var code: Code { content.code }
    /// The step that failed, as a verb: `bind`.
    public var step: ByteString { content.step }
    /// What it failed on: `socket http to 0.0.0.0:80`.
    public var object: ByteString { content.object }
    /// Why it failed.
    public var reason: ByteString { content.reason }
    /// What the user can do about it.
    public var remedy: ByteString? { content.remedy }

    /// Describes a failed step with a reason in words.
    @inline(__always)
    public init(
        _ code: Code, _ step: StaticString, _ object: ByteString, _ reason: ByteString, remedy: ByteString? = nil
    ) {
        unsafe self.init(code, step.start, object, reason, remedy)
    }

    /// Copies the step, which is nearly always a literal, so that its callers need not.
    @inline(never)
    private init(_ code: Code, _ step: Literal, _ object: ByteString, _ reason: ByteString, _ remedy: ByteString?) {
        content = Content(code, unsafe ByteString(literal: step), object, reason, remedy)
    }

    /// The same of a step that is no literal: a command's verb.
    init(_ code: Code, verb: ByteString, _ object: ByteString, _ reason: ByteString, remedy: ByteString? = nil) {
        content = Content(code, verb, object, reason, remedy)
    }

    /// Describes a step whose system call failed.
    @inline(__always)
    public init(_ step: StaticString, _ object: ByteString, _ errno: Errno, remedy: ByteString? = nil) {
        unsafe self.init(step.start, object, errno, remedy)
    }

    @inline(never)
    private init(_ step: Literal, _ object: ByteString, _ errno: Errno, _ remedy: ByteString?) {
        unsafe self.init(.system, step, object, errno.description, remedy)
    }

    /// Describes what is wrong with the command line or the configuration file.
    @inline(__always)
    static func usage(
        _ step: StaticString, _ object: ByteString, _ reason: ByteString, remedy: ByteString? = nil
    ) -> Failure {
        Failure(.usage, step, object, reason, remedy: remedy)
    }

    /// The message on one line without line end, with anything a terminal could misread escaped.
    @export(interface)
    public var message: ByteString {
        var line: ByteString = "unable to \(step)"
        if !object.isEmpty { line.append(" \(object)") }
        line.append(": \(reason)")
        if let remedy { line.append("; \(remedy)") }
        return line.printable
    }
}

/// Runs a step whose system call may fail; the failure then names the step and its object.
@discardableResult
func step<Result: ~Copyable>(
    _ verb: StaticString, _ object: @autoclosure () -> ByteString,
    remedy: (Errno) -> ByteString? = { _ in nil }, _ body: () throws(Errno) -> Result
) throws(Failure) -> Result {
    do throws(Errno) {
        return try body()
    } catch {
        throw Failure(verb, object(), error, remedy: remedy(error))
    }
}
