typealias Log = Reporter
