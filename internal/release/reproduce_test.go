package main

import (
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv/short"
)

var (
	reproduce          = flag.Bool("reproduce", false, "build the whole release twice, with empty caches")
	reproducePlatforms = flag.String("reproduce-platforms", "", "comma-separated `platforms` of -reproduce; default: all")
)

// A copy of the source in another folder gives the same files, with another umask and time zone. With -reproduce, both
// builds use all programs, the compiler of go.mod, and caches of their own.
func TestRelease_IsReproducible(t *testing.T) {
	short.Skip(t, "builds a release")
	if !*reproduce {
		got := buildCopy(t, "022", "TZ=Asia/Tokyo", "-platforms", "linux/amd64", "-programs", "blox")
		requireSameFiles(t, files(t), got)
		return
	}
	first := buildCopy(t, "022", "TZ=UTC", "-platforms", *reproducePlatforms)
	second := buildCopy(t, "077", "TZ=Asia/Tokyo", "-platforms", *reproducePlatforms)
	for name, content := range first {
		t.Logf("%9d bytes  %s", len(content), name)
	}
	requireSameFiles(t, first, second)
}

func requireSameFiles(t *testing.T, want, got map[string][]byte) {
	t.Helper()
	require.Len(t, got, len(want))
	for name, content := range want {
		assert.True(t, string(content) == string(got[name]), "%s differs", name)
	}
}

// buildCopy copies the source to a new folder, builds the release there and returns its files.
func buildCopy(t *testing.T, umask, timeZone string, args ...string) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	checkout := filepath.Join(dir, "a folder of "+umask, "blox")
	copySource(t, checkout)
	args = append([]string{"-c", "umask " + umask + ` && exec go run ./internal/release "$@"`, "sh", "-o", "dist",
		"-version", "v1.2.3", "-revision", revision, "-time", strconv.Itoa(seconds)}, args...)
	cmd := exec.CommandContext(t.Context(), "sh", args...)
	cmd.Dir, cmd.Env = checkout, append(os.Environ(), timeZone, "GOFLAGS=")
	if *reproduce {
		download, err := goCommand(t.Context(), top, os.Environ(), "env", "GOMODCACHE", "GOPROXY")
		require.NoError(t, err)
		modules, proxy, _ := strings.Cut(strings.TrimSpace(string(download)), "\n")
		cmd.Env = append(cmd.Env, "GOCACHE="+filepath.Join(dir, "cache"), "GOMODCACHE="+filepath.Join(dir, "modules"),
			"GOPROXY=file://"+filepath.ToSlash(modules)+"/cache/download,"+proxy, "GOFLAGS=-modcacherw")
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return contents(t, filepath.Join(checkout, "dist"))
}

// copySource copies the files that Git knows or would add.
func copySource(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = top
	out, err := cmd.Output()
	require.NoError(t, err)
	for path := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(top, path))
		if os.IsNotExist(err) {
			continue // deleted, but not committed
		}
		require.NoError(t, err)
		target := filepath.Join(dir, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(target), fs.ModePerm))
		require.NoError(t, os.WriteFile(target, content, 0o644))
	}
}
