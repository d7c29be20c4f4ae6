package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/in-toto/attestation/go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/blox/blox/internal/testenv/short"
)

const (
	top      = "../.."
	revision = "0123456789abcdef0123456789abcdef01234567"
	seconds  = 1700000000
)

var (
	built   = map[string][]byte{}
	builtIn string
	build   sync.Once
)

func TestMain(m *testing.M) {
	code := m.Run()
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
	os.Exit(code)
}

func testRelease(out string) *release {
	return &release{
		dir: top, out: out, version: "v1.2.3", revision: revision, time: time.Unix(seconds, 0).UTC(),
		targets: []target{{"linux", "amd64", []string{"blox"}}},
	}
}

// files returns the files of a release with the program blox for linux/amd64, which all tests share.
func files(t *testing.T) map[string][]byte {
	t.Helper()
	short.Skip(t, "builds a release")
	build.Do(func() {
		var err error
		builtIn, err = os.MkdirTemp("", "blox-release-test-")
		require.NoError(t, err)
		require.NoError(t, testRelease(builtIn).build(context.Background(), io.Discard))
		built = contents(t, builtIn)
	})
	require.NotEmpty(t, built, "an earlier test failed to build the release")
	return built
}

func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	result := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		result[entry.Name()], err = os.ReadFile(filepath.Join(dir, entry.Name()))
		require.NoError(t, err)
	}
	return result
}

func TestRelease_HasArchiveSBOMProvenanceAndChecksums(t *testing.T) {
	got := files(t)
	var names []string
	for name := range got {
		names = append(names, name)
	}
	assert.ElementsMatch(t, []string{
		"blox-v1.2.3-linux-amd64.tar.gz", "blox-v1.2.3-linux-amd64.cdx.json", "blox-v1.2.3.provenance.json", "SHA256SUMS",
	}, names)
	for name, content := range got {
		if name != "SHA256SUMS" {
			assert.Contains(t, string(got["SHA256SUMS"]), fmt.Sprintf("%x  %s\n", sha256.Sum256(content), name))
		}
	}
}

// unpack returns the headers of an archive and the content of its files.
func unpack(t *testing.T, content []byte) (headers []*tar.Header, contents map[string][]byte) {
	t.Helper()
	decompressed, err := gzip.NewReader(bytes.NewReader(content))
	require.NoError(t, err)
	contents = map[string][]byte{}
	for reader := tar.NewReader(decompressed); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return headers, contents
		}
		require.NoError(t, err)
		headers = append(headers, header)
		contents[header.Name], err = io.ReadAll(reader)
		require.NoError(t, err)
	}
}

func TestArchive_HasProgramsAndLicenses(t *testing.T) {
	headers, unpacked := unpack(t, files(t)["blox-v1.2.3-linux-amd64.tar.gz"])
	modes := map[string]int64{}
	for _, header := range headers {
		modes[header.Name] = header.Mode
		assert.Equal(t, int64(seconds), header.ModTime.Unix(), header.Name)
		assert.Zero(t, header.Uid+header.Gid, header.Name)
	}
	const folder = "blox-v1.2.3-linux-amd64/"
	assert.Equal(t, map[string]int64{
		folder: 0o755, folder + "LICENSE": 0o644, folder + "THIRD_PARTY_LICENSES": 0o644, folder + "blox": 0o755,
	}, modes)
	licenses := string(unpacked[folder+"THIRD_PARTY_LICENSES"])
	for _, want := range []string{
		"std " + runtime.Version() + " (LICENSE)", "github.com/spf13/cobra ", "Apache License", "THE SOFTWARE IS PROVIDED",
		"AWS SDK for Go", // of a notice
	} {
		assert.Contains(t, licenses, want)
	}

	program := filepath.Join(t.TempDir(), "blox")
	require.NoError(t, os.WriteFile(program, unpacked[folder+"blox"], 0o700))
	info, err := buildinfo.ReadFile(program)
	require.NoError(t, err)
	for _, setting := range info.Settings {
		assert.NotContains(t, setting.Key, "vcs", "the state of the checkout is part of the program")
	}
	if runtime.GOOS+"/"+runtime.GOARCH == "linux/amd64" {
		out, err := exec.CommandContext(t.Context(), program, "--version").Output()
		require.NoError(t, err)
		assert.Equal(t, "blox v1.2.3 ("+revision+")\n", string(out))
	}
}

// programModules returns the modules of a program of the release with their checksums in hexadecimal digits.
func programModules(t *testing.T) map[string]string {
	t.Helper()
	_, unpacked := unpack(t, files(t)["blox-v1.2.3-linux-amd64.tar.gz"])
	info, err := buildinfo.Read(bytes.NewReader(unpacked["blox-v1.2.3-linux-amd64/blox"]))
	require.NoError(t, err)
	modules := map[string]string{}
	for _, m := range info.Deps {
		sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
		require.NoError(t, err)
		modules[m.Path+"@"+m.Version] = fmt.Sprintf("%x", sum)
	}
	require.Greater(t, len(modules), 20)
	return modules
}

func TestSBOM_ListsEveryModuleWithChecksumAndLicense(t *testing.T) {
	type licenses []struct{ License struct{ ID string } }
	type hashes []struct{ Alg, Content string }
	var bom struct {
		BOMFormat, SerialNumber string
		Metadata                struct {
			Timestamp time.Time
			Component struct {
				Name, Version string
				Hashes        hashes
				Licenses      licenses
			}
		}
		Components []struct {
			Name, Version string
			Hashes        hashes
			Licenses      licenses
		}
	}
	require.NoError(t, json.Unmarshal(files(t)["blox-v1.2.3-linux-amd64.cdx.json"], &bom))
	assert.Equal(t, "CycloneDX", bom.BOMFormat)
	assert.Empty(t, bom.SerialNumber, "a serial number is random")
	assert.Equal(t, int64(seconds), bom.Metadata.Timestamp.Unix())
	assert.Equal(t, "v1.2.3", bom.Metadata.Component.Version)
	_, unpacked := unpack(t, files(t)["blox-v1.2.3-linux-amd64.tar.gz"])
	program := sha256.Sum256(unpacked["blox-v1.2.3-linux-amd64/blox"])
	assert.Equal(t, fmt.Sprintf("%x", program), bom.Metadata.Component.Hashes[0].Content)

	listed := map[string]string{}
	for _, component := range bom.Components {
		assert.NotEmpty(t, component.Licenses, component.Name)
		for _, license := range component.Licenses {
			assert.Contains(t, allowed, license.License.ID, component.Name)
		}
		if component.Name == "std" {
			assert.Equal(t, runtime.Version(), component.Version)
			continue
		}
		require.NotEmpty(t, component.Hashes, component.Name)
		listed[component.Name+"@"+component.Version] = component.Hashes[0].Content
	}
	assert.Equal(t, programModules(t), listed)
}

// The types of the in-toto project accept the statement.
func TestProvenance_NamesSourceModulesAndFiles(t *testing.T) {
	content := files(t)["blox-v1.2.3.provenance.json"]
	var s v1.Statement
	require.NoError(t, protojson.Unmarshal(content, &s))
	require.NoError(t, s.Validate())
	assert.Equal(t, "https://slsa.dev/provenance/v1", s.GetPredicateType())
	subjects := map[string]string{}
	for _, subject := range s.GetSubject() {
		subjects[subject.GetName()] = subject.GetDigest()["sha256"]
	}
	_, unpacked := unpack(t, files(t)["blox-v1.2.3-linux-amd64.tar.gz"])
	want := map[string]string{}
	for name, content := range map[string][]byte{
		"blox-v1.2.3-linux-amd64.tar.gz":   files(t)["blox-v1.2.3-linux-amd64.tar.gz"],
		"blox-v1.2.3-linux-amd64.cdx.json": files(t)["blox-v1.2.3-linux-amd64.cdx.json"],
		"blox-v1.2.3-linux-amd64/blox":     unpacked["blox-v1.2.3-linux-amd64/blox"],
	} {
		want[name] = fmt.Sprintf("%x", sha256.Sum256(content))
	}
	assert.Equal(t, want, subjects)

	var own statement
	require.NoError(t, json.Unmarshal(content, &own))
	definition := own.Predicate.BuildDefinition
	assert.Equal(t, "v1.2.3", definition.ExternalParameters["version"])
	assert.Equal(t, runtime.Version(), definition.InternalParameters["goVersion"])
	dependencies := map[string]map[string]string{}
	for _, d := range definition.ResolvedDependencies {
		dependencies[d.URI] = d.Digest
	}
	assert.Equal(t, revision, dependencies["git+"+source+"@"+revision]["gitCommit"])
	assert.Contains(t, dependencies, "pkg:golang/std@"+runtime.Version())
	for name, sum := range programModules(t) {
		assert.Equal(t, sum, dependencies["pkg:golang/"+name]["dirHash"], name)
	}
	assert.Len(t, dependencies, len(programModules(t))+2)
}

// Every program of every platform contains reviewed licenses only.
func TestLicenses_AreReviewed(t *testing.T) {
	short.Skip(t, "lists the packages of every program")
	for _, target := range targets {
		modules, err := linkedModules(t.Context(), top, target)
		require.NoError(t, err, target.String())
		assert.Greater(t, len(modules), 20)
	}
}

func TestLicenses_RejectUnknownAndForbiddenTexts(t *testing.T) {
	mit, err := os.ReadFile(filepath.Join(moduleDir(t, "github.com/sirupsen/logrus"), "LICENSE"))
	require.NoError(t, err)
	ids, err := identify(string(mit))
	require.NoError(t, err)
	assert.Equal(t, []string{"MIT"}, ids)
	ids, err = identify(strings.Replace(string(mit), "(c) 2014", "(c) 2015 Someone else, (c) 2014", 1))
	require.NoError(t, err, "the owner does not matter")
	assert.Equal(t, []string{"MIT"}, ids)

	const gpl = "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\n"
	for text, want := range map[string]string{
		gpl:                               "unknown license",
		string(mit) + "\nNot for banks.":  "unknown license",
		strings.ToUpper(string(mit[:99])): "unknown license",
	} {
		_, err := identify(text)
		assert.ErrorContains(t, err, want)
	}
	defer func(before string) { reviewed = before }(reviewed)
	reviewed += digestOf(gpl) + " GPL-3.0-only example.com/gpl\n"
	_, err = identify(gpl)
	assert.EqualError(t, err, "license GPL-3.0-only is not one of Apache-2.0, BSD-2-Clause, BSD-3-Clause, ISC, MIT")

	_, err = sortedModules(map[string]module{"a": {path: "example.com/a", version: "v1.0.0"}}, nil)
	assert.EqualError(t, err, "example.com/a v1.0.0: no license")
}

func moduleDir(t *testing.T, path string) string {
	t.Helper()
	out, err := goCommand(t.Context(), top, os.Environ(), "list", "-m", "-f", "{{.Dir}}", path)
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

func TestRelease_RejectsInvalidInput(t *testing.T) {
	valid := []string{"-version", "v1.2.3", "-revision", revision, "-time", "1"}
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no version":                  {[]string{"-version", ""}, `-version "": want a version such as v1.0.0`},
		"a version with a space":      {[]string{"-version", "v1 -X"}, `-version "v1 -X": want a version`},
		"changes in the checkout":     {[]string{"-version", "v1-dirty"}, "-version v1-dirty: commit the changes of the source first"},
		"a short revision":            {[]string{"-revision", "0123456"}, `-revision "0123456": want the full hash of a commit`},
		"no time":                     {[]string{"-time", "0"}, "-time: want the time of the commit in Unix seconds"},
		"a platform that is not ours": {[]string{"-platforms", "plan9/386"}, "-platforms plan9/386: want some of linux/amd64"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorContains(t, run(t.Context(), append(valid, tc.args...), io.Discard), tc.want)
		})
	}
}

// Images and archives contain the same programs, so the same compiler builds them.
func TestRelease_HasTheCompilerOfTheImages(t *testing.T) {
	find := func(file, pattern string) string {
		data, err := os.ReadFile(filepath.Join(top, file))
		require.NoError(t, err)
		found := regexp.MustCompile(pattern).FindSubmatch(data)
		require.NotNil(t, found, file)
		return string(found[1])
	}
	assert.Equal(t, find("go.mod", `(?m)^toolchain go(\S+)$`),
		find("deploy/docker/Dockerfile", `(?m)^FROM golang:(\S+) AS build$`))
}
