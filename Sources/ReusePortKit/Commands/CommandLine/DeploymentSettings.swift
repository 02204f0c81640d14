// Deployments are recorded with the names of options, which the table of options explains.

extension Deployment {
    /// Records the options of a deployment that count again when it is repeated.
    init(
        generation: UInt64, directory: ByteString, _ settings: [Setting], command: [ByteString],
        configuration: ByteString?
    ) {
        self.init(
            generation: generation, directory: directory,
            settings: settings.filter { $0.option.places.contains(.record) }
                .map { Pair(name: $0.option.text, value: $0.value) },
            command: command, configuration: configuration)
    }

    /// The options for copies that are added.
    func options() throws(Failure) -> Options {
        try Options(settings(with: []), command: command, isDeploy: true, configuration: configuration)
    }

    /// The recorded settings and the new ones, which replace those of the same option; of an option that may be given
    /// several times, those of the same name.
    func settings(with new: [Setting]) -> [Setting] {
        var result: [Setting] = []
        for one in settings {
            guard let option = Option.named(one.name) else { continue }
            let isReplaced = new.contains { other in
                other.option.key == option.key && (!option.isRepeatable || subject(other.value) == subject(one.value))
            }
            if !isReplaced { result.append(Setting(option: option, value: one.value, origin: .commandLine)) }
        }
        return result + new
    }
}

/// The name in `NAME:ADDRESS`, `NAME:PATH` and `NAME=VALUE`; the whole value if there is none.
private func subject(_ value: ByteString) -> ByteString {
    let end = value.bytes.firstIndex { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "=") }
    return end.map { value.prefix($0) } ?? value
}
