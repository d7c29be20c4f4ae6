package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"fmt"
	"runtime"
	"slices"
	"strings"
)

const (
	source    = "https://github.com/blox/blox"
	buildType = source + "/blob/main/deploy/docs/verify-releases.md#build-type"
	builder   = source + "/blob/main/.github/RELEASING.md"
)

// statement is an in-toto statement, https://in-toto.io/Statement/v1, with the predicate
// https://slsa.dev/provenance/v1. It has no times and no number of the build, so that a second build gives the same
// statement.
type statement struct {
	Type          string       `json:"_type"`
	Subject       []descriptor `json:"subject"`
	PredicateType string       `json:"predicateType"`
	Predicate     predicate    `json:"predicate"`
}

type descriptor struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"`
}

type predicate struct {
	BuildDefinition struct {
		BuildType            string         `json:"buildType"`
		ExternalParameters   map[string]any `json:"externalParameters"`
		InternalParameters   map[string]any `json:"internalParameters"`
		ResolvedDependencies []descriptor   `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
	} `json:"runDetails"`
}

func (r *release) newStatement() *statement {
	s := &statement{Type: "https://in-toto.io/Statement/v1", PredicateType: "https://slsa.dev/provenance/v1"}
	definition := &s.Predicate.BuildDefinition
	definition.BuildType = buildType
	definition.ExternalParameters = map[string]any{
		"version": r.version, "source": source, "revision": r.revision, "time": r.time.Unix(),
		"platforms": strings.Split(platforms(r.targets), ", "),
	}
	definition.InternalParameters = map[string]any{
		"goVersion": runtime.Version(), "buildFlags": r.buildFlags(), "environment": map[string]string{"CGO_ENABLED": "0"},
	}
	definition.ResolvedDependencies = []descriptor{
		{URI: "git+" + source + "@" + r.revision, Digest: map[string]string{"gitCommit": r.revision}},
		{URI: "pkg:golang/std@" + runtime.Version()},
	}
	s.Predicate.RunDetails.Builder.ID = builder
	return s
}

func (s *statement) addSubject(name string, content []byte) {
	digest := map[string]string{"sha256": fmt.Sprintf("%x", sha256.Sum256(content))}
	s.Subject = append(s.Subject, descriptor{Name: name, Digest: digest})
}

// addModules adds the modules that the program contains, with the checksums that go.sum has, too.
func (s *statement) addModules(path string) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	if info.GoVersion != runtime.Version() {
		return fmt.Errorf("%s: built with %s, not %s", path, info.GoVersion, runtime.Version())
	}
	dependencies := &s.Predicate.BuildDefinition.ResolvedDependencies
	for _, m := range info.Deps {
		if m.Replace != nil {
			return fmt.Errorf("%s is replaced; a release uses the modules of go.sum", m.Path)
		}
		sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
		if err != nil || len(sum) != sha256.Size {
			return fmt.Errorf("%s: checksum %q: want h1:…", m.Path, m.Sum)
		}
		uri := "pkg:golang/" + m.Path + "@" + m.Version
		if !slices.ContainsFunc(*dependencies, func(d descriptor) bool { return d.URI == uri }) {
			// dirHash is Go's h1 in hexadecimal digits.
			digest := map[string]string{"dirHash": fmt.Sprintf("%x", sum)}
			*dependencies = append(*dependencies, descriptor{URI: uri, Digest: digest})
		}
	}
	return nil
}

func (s *statement) encode() ([]byte, error) {
	slices.SortFunc(s.Subject, func(a, b descriptor) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Predicate.BuildDefinition.ResolvedDependencies, func(a, b descriptor) int {
		return strings.Compare(a.URI, b.URI)
	})
	return encodeJSON(s)
}
