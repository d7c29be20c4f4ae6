// Package version holds the version of this build.
package version

// Set by the linker: -ldflags "-X github.com/blox/blox/internal/version.Version=1.0.0 -X …version.Commit=1a2b3c4".
var (
	Version = "dev"
	Commit  = ""
)

// String returns the version and, if known, the commit in brackets: "1.0.0 (1a2b3c4)".
func String() string {
	if Commit == "" {
		return Version
	}
	return Version + " (" + Commit + ")"
}

// UserAgent is the product name that Blox sends to other services: "Blox/1.0.0".
func UserAgent() string { return "Blox/" + Version }
