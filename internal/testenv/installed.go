package testenv

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// Installed returns the path of a program of the machine. If the machine lacks it, the test is skipped; with CI=true it
// fails. Debian installs servers where only root has a PATH to.
func Installed(tb testing.TB, name string) string {
	tb.Helper()
	for _, candidate := range []string{name, "/usr/bin/" + name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	missing := "no " + name + " on the PATH"
	if os.Getenv("CI") == "true" {
		require.FailNow(tb, missing)
	}
	tb.Skip(missing)
	return ""
}
