package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// Finding is one break of a rule.
type Finding struct {
	Path    string
	Line    int
	Message string
}

// alert is a finding as Vale reports it.
type alert struct {
	Line    int
	Check   string
	Message string
}

// vale runs Vale on documents, in the folder dir. Vale needs no network: its rules are files of this repository.
func vale(ctx context.Context, dir, config string, documents []string) (map[string][]alert, error) {
	args := append([]string{"tool", "-modfile=internal/tools/prose/go.mod", "vale",
		"--config", config, "--no-global", "--output", "JSON", "--no-exit"}, documents...)
	command := exec.CommandContext(ctx, "go", args...)
	var stdout, stderr bytes.Buffer
	command.Dir, command.Stdout, command.Stderr = dir, &stdout, &stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("run vale: %w: %s%s", err, stderr.Bytes(), stdout.Bytes())
	}
	alerts := map[string][]alert{}
	if err := json.Unmarshal(stdout.Bytes(), &alerts); err != nil {
		return nil, fmt.Errorf("read vale's report: %w: %s", err, stdout.Bytes())
	}
	return alerts, nil
}

// check returns what Vale finds in documents and texts of the repository in dir. Each text becomes a file, so that
// no sentence spans two texts and each alert has one source.
func check(ctx context.Context, dir string, documents []string, texts []Text) ([]Finding, error) {
	scratch, err := os.MkdirTemp("", "blox-prose-")
	if err != nil {
		return nil, fmt.Errorf("create a folder for texts: %w", err)
	}
	defer os.RemoveAll(scratch)
	sources := map[string]Text{}
	for i, text := range texts {
		name := filepath.Join(scratch, string(text.Kind), strconv.Itoa(i)+".md")
		sources[name] = text
		err = errors.Join(err, os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(markdown(text.Text)), 0o600))
	}
	if err != nil {
		return nil, fmt.Errorf("write texts: %w", err)
	}
	alerts, err := vale(ctx, dir, ".vale.ini", append(slices.Clone(documents), scratch))
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for name, inFile := range alerts {
		for _, a := range inFile {
			finding := Finding{Path: name, Line: a.Line, Message: fmt.Sprintf("%s (%s)", a.Message, a.Check)}
			if text, ok := sources[name]; ok {
				finding.Path, finding.Line = text.Path, text.Line
				finding.Message += fmt.Sprintf(" in %q", text.Text)
			}
			findings = append(findings, finding)
		}
	}
	slices.SortFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(findings), nil
}
