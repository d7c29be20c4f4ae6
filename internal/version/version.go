// Package version says which build of Blox this is.
package version

// Set by the linker: -ldflags "-X github.com/blox/blox/internal/version.Version=1.0.0 -X …version.Commit=1a2b3c4".
var (
	Version = "dev"
	Commit  = ""
)

// String is the version, with the commit in brackets when it is known: "1.0.0 (1a2b3c4)".
func String() string {
	if Commit == "" {
		return Version
	}
	return Version + " (" + Commit + ")"
}

// UserAgent is how Blox names itself to others: "Blox/1.0.0".
func UserAgent() string { return "Blox/" + Version }
