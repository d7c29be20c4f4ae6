package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// target is a platform and the programs of its archive.
type target struct {
	os, arch string
	programs []string // folders below cmd
}

var (
	services = []string{"blox", "cluster-state-service", "daemon-scheduler", "ecs-sim"}
	targets  = []target{
		{"linux", "amd64", services},
		{"linux", "arm64", services},
		{"darwin", "amd64", []string{"blox"}},
		{"darwin", "arm64", []string{"blox"}},
	}
	commit = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
	// Versions are parts of file names and of -ldflags.
	validVersion = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+-]*$`)
)

func (t target) String() string { return t.os + "/" + t.arch }

func platforms(all []target) string {
	var names []string
	for _, t := range all {
		names = append(names, t.String())
	}
	return strings.Join(names, ", ")
}

func selectTargets(names []string) []target {
	return slices.DeleteFunc(slices.Clone(targets), func(t target) bool { return !slices.Contains(names, t.String()) })
}

// selectPrograms returns the targets that have some of the named programs, with these programs alone.
func selectPrograms(all []target, names []string) (selected []target) {
	for _, t := range all {
		t.programs = slices.DeleteFunc(slices.Clone(t.programs), func(p string) bool { return !slices.Contains(names, p) })
		if len(t.programs) > 0 {
			selected = append(selected, t)
		}
	}
	return selected
}

// release is the input of a build. Every field but out determines the bytes of the files.
type release struct {
	dir      string // top of the source
	out      string
	version  string
	revision string
	time     time.Time
	targets  []target
}

func (r *release) check() error {
	var errs []error
	if !validVersion.MatchString(r.version) {
		errs = append(errs, fmt.Errorf("-version %q: want a version such as v1.0.0", r.version))
	}
	if strings.HasSuffix(r.version, "-dirty") {
		errs = append(errs, fmt.Errorf("-version %s: commit the changes of the source first", r.version))
	}
	if !commit.MatchString(r.revision) {
		errs = append(errs, fmt.Errorf("-revision %q: want the full hash of a commit", r.revision))
	}
	if r.time.Unix() <= 0 {
		errs = append(errs, errors.New("-time: want the time of the commit in Unix seconds"))
	}
	return errors.Join(errs...)
}

// environment removes every setting of this machine that changes the bytes of a program.
func (t target) environment() []string {
	return append(os.Environ(), "GOOS="+t.os, "GOARCH="+t.arch, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off",
		"GOENV=off", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off")
}

// buildFlags equal those of deploy/docker/Dockerfile, so that images contain the same programs.
func (r *release) buildFlags() []string {
	const variables = "github.com/blox/blox/internal/version"
	return []string{"-trimpath", "-buildvcs=false", "-ldflags",
		fmt.Sprintf("-s -w -X %s.Version=%s -X %s.Commit=%s", variables, r.version, variables, r.revision)}
}

// compile builds the programs of a target into a directory.
func (r *release) compile(ctx context.Context, t target, dir string) error {
	args := append([]string{"build"}, r.buildFlags()...)
	args = append(args, "-o", dir+string(filepath.Separator))
	for _, program := range t.programs {
		args = append(args, "./cmd/"+program)
	}
	_, err := goCommand(ctx, r.dir, t.environment(), args...)
	return err
}

// goCommand returns the output of a go command.
func goCommand(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

// file is one file of the release.
type file struct {
	name    string
	content []byte
	program bool
}

// build writes the files. It removes those of an earlier build first.
func (r *release) build(ctx context.Context, log io.Writer) error {
	license, err := os.ReadFile(filepath.Join(r.dir, "LICENSE"))
	if err != nil {
		return err
	}
	var files []file
	statement := r.newStatement()
	for _, t := range r.targets {
		fmt.Fprintln(log, "building", t, strings.Join(t.programs, " "))
		built, err := r.buildTarget(ctx, t, license, statement)
		if err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
		files = append(files, built...)
	}
	for _, f := range files {
		statement.addSubject(f.name, f.content)
	}
	provenance, err := statement.encode()
	if err != nil {
		return err
	}
	files = append(files, file{name: "blox-" + r.version + ".provenance.json", content: provenance})
	files = append(files, file{name: "SHA256SUMS", content: checksums(files)})
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(r.out, f.name), f.content, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(log, "%d files in %s\n", len(files), r.out)
	return nil
}

// buildTarget returns the archive of a target and the SBOMs of its programs, and adds the programs to the statement.
func (r *release) buildTarget(ctx context.Context, t target, license []byte, s *statement) ([]file, error) {
	linked, err := linkedModules(ctx, r.dir, t)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "blox-release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := r.compile(ctx, t, dir); err != nil {
		return nil, err
	}
	suffix := fmt.Sprintf("-%s-%s-%s", r.version, t.os, t.arch)
	contents := []file{
		{name: "LICENSE", content: license},
		{name: "THIRD_PARTY_LICENSES", content: []byte(thirdPartyLicenses(linked))},
	}
	var boms []file
	for _, program := range t.programs {
		path := filepath.Join(dir, program)
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		contents = append(contents, file{name: program, content: content, program: true})
		bom, err := r.sbom(ctx, path, content, linked)
		if err != nil {
			return nil, fmt.Errorf("SBOM of %s: %w", program, err)
		}
		boms = append(boms, file{name: program + suffix + ".cdx.json", content: bom})
		s.addSubject("blox"+suffix+"/"+program, content)
		if err := s.addModules(path); err != nil {
			return nil, err
		}
	}
	packed, err := archive("blox"+suffix, r.time, contents)
	if err != nil {
		return nil, err
	}
	return append(boms, file{name: "blox" + suffix + ".tar.gz", content: packed}), nil
}
