/// What the program says when it cannot go on: step, object and reason, with the way out where there is one.
///
/// The upper of the two error layers; `Errno` is the lower.
public struct Failure: Error, Sendable {
    /// Exit codes, as s6 and execline have them.
    public enum Code: Int32, Sendable {
        /// A question was answered with no: not ready, handoff failed, unknown app.
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

    /// What is said, behind one pointer: every function that throws hands it on.
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

    /// A step that failed, on what, and why.
    @inline(never) @_disfavoredOverload
    public init(
        _ code: Code, _ step: ByteString, _ object: ByteString, _ reason: ByteString, remedy: ByteString? = nil
    ) {
        content = Content(code, step, object, reason, remedy)
    }

    /// A step that failed, on what, and why.
    @inline(never) @_disfavoredOverload
    public init(_ step: ByteString, _ object: ByteString, _ errno: Errno, remedy: ByteString? = nil) {
        self.init(.system, step, object, errno.description, remedy: remedy)
    }

    @inline(never) @_disfavoredOverload
    static func usage(
        _ step: ByteString, _ object: ByteString, _ reason: ByteString, remedy: ByteString? = nil
    ) -> Failure {
        Failure(.usage, step, object, reason, remedy: remedy)
    }

    /// One line without its end, fit for a terminal whatever the names in it are made of.
    @export(interface)
    public var message: ByteString {
        var line: ByteString = "unable to \(step)"
        if !object.isEmpty { line.append(" \(object)") }
        line.append(": \(reason)")
        if let remedy { line.append("; \(remedy)") }
        return line.printable
    }
}

// The same with the step as a literal, which it nearly always is, and which is made bytes of here and not by the
// caller.
extension Failure {
    @inline(__always)
    init(
        _ code: Code, _ step: StaticString, _ object: ByteString, _ reason: ByteString, remedy: ByteString? = nil
    ) {
        unsafe self.init(code, literal: step.start, object, reason, remedy)
    }

    @inline(__always)
    init(_ step: StaticString, _ object: ByteString, _ errno: Errno, remedy: ByteString? = nil) {
        unsafe self.init(literal: step.start, object, errno, remedy)
    }

    @inline(__always)
    static func usage(
        _ step: StaticString, _ object: ByteString, _ reason: ByteString, remedy: ByteString? = nil
    ) -> Failure {
        unsafe Failure(.usage, literal: step.start, object, reason, remedy)
    }

    @inline(never)
    private init(
        _ code: Code, literal step: Literal, _ object: ByteString, _ reason: ByteString,
        _ remedy: ByteString?
    ) {
        unsafe self.init(code, ByteString(literal: step), object, reason, remedy: remedy)
    }

    @inline(never)
    private init(
        literal step: Literal, _ object: ByteString, _ errno: Errno, _ remedy: ByteString?
    ) {
        unsafe self.init(ByteString(literal: step), object, errno, remedy: remedy)
    }
}

/// Runs a step whose system call may fail, and says what was being done when it does.
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

/// The same for a verb that is put together.
@discardableResult @_disfavoredOverload
func step<Result: ~Copyable>(
    _ verb: @autoclosure () -> ByteString, _ object: @autoclosure () -> ByteString,
    remedy: (Errno) -> ByteString? = { _ in nil }, _ body: () throws(Errno) -> Result
) throws(Failure) -> Result {
    do throws(Errno) {
        return try body()
    } catch {
        throw Failure(verb(), object(), error, remedy: remedy(error))
    }
}
