@testable import ReusePortKit

/// Compares the contents of records, as their files have them.
extension CopyRecord: Equatable {
    public static func == (one: CopyRecord, other: CopyRecord) -> Bool { one.text == other.text }
}

extension AppRecord: Equatable {
    public static func == (one: AppRecord, other: AppRecord) -> Bool { one.text == other.text }
}

extension Deployment: Equatable {
    public static func == (one: Deployment, other: Deployment) -> Bool { one.text == other.text }
}
