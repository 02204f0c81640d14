/// With what a generation was deployed: enough to do it again, or to add copies to it.
struct Deployment: Sendable, Equatable {
    /// The generation's number.
    var generation: UInt64
    /// And its label, for the number may have been another's by then; empty where it was not written down.
    var label = ByteString()
    /// Where relative paths in it are meant.
    var directory: ByteString
    /// The options by name and value, without those of one time only. A value is empty if the option takes none.
    var settings: [Pair]
    var command: [ByteString]
    /// What the configuration file said: copies that are added, or started again, are to be the same.
    var configuration: ByteString?

    struct Pair: Sendable, Equatable {
        var name: ByteString
        var value: ByteString
    }
}

extension Deployment {
    /// The file's contents.
    var text: ByteString {
        var file = RegistryText()
        file.add("format", "1")
        file.add("generation", ByteString(decimal: generation))
        file.add("label", label)
        file.add("directory", directory)
        for one in settings { file.add("setting", one.name, one.value) }
        for word in command { file.add("word", word) }
        if let configuration { file.add("configuration", configuration) }
        return file.text
    }

    /// Reads the file; nil if it is not whole or not ours.
    init?(text: ByteString) {
        guard let file = RegistryText(text), file.number("format") == 1, let generation = file.number("generation"),
            let directory = file.fields("directory")?.first
        else { return nil }
        self.generation = generation
        self.directory = directory
        label = file.fields("label")?.first ?? ""
        configuration = file.fields("configuration")?.first
        settings = []
        command = []
        for line in file.lines {
            switch (line.key, line.fields.count) {
            case ("setting", 2): settings.append(Pair(name: line.fields[0], value: line.fields[1]))
            case ("word", 1): command.append(line.fields[0])
            default: break
            }
        }
    }
}
