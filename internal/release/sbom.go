package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// sbom returns the CycloneDX document of a program. cyclonedx-gomod reads the modules and their checksums from it. The
// licenses are those that licenses.txt names: the detection of cyclonedx-gomod knows only some of them.
func (r *release) sbom(ctx context.Context, path string, program []byte, linked []module) ([]byte, error) {
	version := "v" + strings.TrimPrefix(r.version, "v")
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile=internal/tools/release/go.mod", "cyclonedx-gomod", "bin",
		"-json", "-noserial", "-notimestamp", "-std", "-version", version, path)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.dir, append(os.Environ(), "GOFLAGS="), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("cyclonedx-gomod: %w\n%s", err, stderr.String())
	}
	var bom map[string]any
	if err := json.Unmarshal(stdout.Bytes(), &bom); err != nil {
		return nil, fmt.Errorf("cyclonedx-gomod: %w", err)
	}
	metadata, ok := bom["metadata"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("cyclonedx-gomod: no metadata in %.80s", stdout.String())
	}
	metadata["timestamp"] = r.time.Format(time.RFC3339)
	tools, _ := metadata["tools"].([]any)
	for _, tool := range tools {
		if tool, ok := tool.(map[string]any); ok {
			delete(tool, "hashes") // the machine that builds the tool determines them
		}
	}
	component, _ := metadata["component"].(map[string]any)
	component["licenses"] = licenseChoices([]string{"Apache-2.0"})
	component["hashes"] = []any{map[string]any{"alg": "SHA-256", "content": fmt.Sprintf("%x", sha256.Sum256(program))}}
	if err := addLicenseChoices(bom, linked); err != nil {
		return nil, err
	}
	return encodeJSON(bom)
}

// addLicenseChoices adds the licenses of each component. Every component must be a linked module.
func addLicenseChoices(bom map[string]any, linked []module) error {
	ids := map[string][]string{}
	for _, m := range linked {
		ids[m.path+"@"+m.version] = m.identifiers()
	}
	components, _ := bom["components"].([]any)
	for _, c := range components {
		component, _ := c.(map[string]any)
		name := fmt.Sprint(component["name"], "@", component["version"])
		if len(ids[name]) == 0 {
			return fmt.Errorf("the program contains %s, which go list does not report", name)
		}
		component["licenses"] = licenseChoices(ids[name])
	}
	return nil
}

func licenseChoices(ids []string) []any {
	var choices []any
	for _, id := range ids {
		choices = append(choices, map[string]any{"license": map[string]any{"id": id}})
	}
	return choices
}

func encodeJSON(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(value)
	return out.Bytes(), err
}
