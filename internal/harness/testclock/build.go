// Package testclock runs programs whose clocks a test can change: the wall clock steps, or the machine seems to
// suspend.
//
// Build compiles a program with changed copies of a few files of Go's runtime (go build -overlay), so that the
// program's own source has no hook. A process of it adds two offsets, which Clock writes to a shared file, to each
// reading of the clocks.
package testclock

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

//go:embed overlay
var overlay embed.FS

// change replaces text in a file of the runtime that Build finds below GOROOT.
type change struct{ file, before, after string }

// changes give the runtime's own readings other names or pass them through the offsets of overlay/runtime.go.txt.
var changes = []change{
	{"runtime/time_nofake.go", "return nanotime1()", "return nanotime1() + testClockMonotonic()"},
	{"runtime/time_linux_amd64.s", "TEXT time·now<ABIInternal>", "TEXT ·systemNow<ABIInternal>"},
}

// ErrUnsupported reports a platform on which Build cannot change the clocks.
var ErrUnsupported = errors.New("test clocks need Linux on amd64")

// Build compiles commands of this module into the directory bin, with clocks that Clock can change. The packages are
// paths below the module, such as cmd/daemon-scheduler.
func Build(ctx context.Context, bin string, packages ...string) error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return ErrUnsupported
	}
	work, err := os.MkdirTemp("", "testclock-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	for _, p := range packages { // one overlay adds a file to one main package
		if err := buildOne(ctx, work, bin, p); err != nil {
			return fmt.Errorf("build %s with a test clock: %w", p, err)
		}
	}
	return nil
}

func buildOne(ctx context.Context, work, bin, pkg string) error {
	directory, err := goOutput(ctx, "list", "-f", "{{.Dir}}", "github.com/blox/blox/"+pkg)
	if err != nil {
		return err
	}
	root, err := goOutput(ctx, "env", "GOROOT")
	if err != nil {
		return err
	}
	inherited, err := inheritedOverlay(ctx)
	if err != nil {
		return err
	}
	list, err := writeOverlay(work, filepath.Join(root, "src"), directory, inherited)
	if err != nil {
		return err
	}
	_, err = goOutput(ctx, "build", "-overlay", list, "-o", filepath.Join(bin, filepath.Base(pkg)), directory)
	return err
}

// inheritedOverlay returns the files that an -overlay in GOFLAGS replaces: the flag on the command line overrides it.
func inheritedOverlay(ctx context.Context) (map[string]string, error) {
	flags, err := goOutput(ctx, "env", "GOFLAGS")
	if err != nil {
		return nil, err
	}
	inherited := struct{ Replace map[string]string }{map[string]string{}}
	for _, flag := range strings.Fields(flags) {
		list, found := strings.CutPrefix(flag, "-overlay=")
		if !found {
			continue
		}
		text, err := os.ReadFile(list)
		if err != nil {
			return nil, fmt.Errorf("read the overlay in GOFLAGS: %w", err)
		}
		if err := json.Unmarshal(text, &inherited); err != nil {
			return nil, fmt.Errorf("decode the overlay in GOFLAGS: %w", err)
		}
	}
	return inherited.Replace, nil
}

// writeOverlay writes the replaced and added files below work, and adds the files of another overlay. It returns the
// path of the list for -overlay.
func writeOverlay(work, source, mainDirectory string, replace map[string]string) (list string, err error) {
	write := func(target string, text []byte) error {
		path := filepath.Join(work, filepath.Base(target))
		replace[target] = path
		return os.WriteFile(path, text, 0o644)
	}
	for _, c := range changes {
		path := filepath.Join(source, c.file)
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		if bytes.Count(text, []byte(c.before)) != 1 {
			return "", fmt.Errorf("%s of this version of Go does not contain %q once", c.file, c.before)
		}
		if err := write(path, bytes.Replace(text, []byte(c.before), []byte(c.after), 1)); err != nil {
			return "", err
		}
	}
	for name, target := range map[string]string{
		"timeasm.go.txt": filepath.Join(source, "runtime", "timeasm.go"),
		"runtime.go.txt": filepath.Join(source, "runtime", "testclock.go"),
		"main.go.txt":    filepath.Join(mainDirectory, "testclock_main.go"),
	} {
		text, err := overlay.ReadFile("overlay/" + name)
		if err != nil {
			return "", err
		}
		if err := write(target, text); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list = filepath.Join(work, "overlay.json")
	return list, os.WriteFile(list, text, 0o644)
}

func goOutput(ctx context.Context, args ...string) (string, error) {
	var stderr bytes.Buffer
	command := exec.CommandContext(ctx, "go", args...)
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}
