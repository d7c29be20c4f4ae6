package monitoring

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	blox "github.com/blox/blox/cmd/blox/command"
)

// composeService is what the tests read of a service in a compose file.
type composeService struct {
	Image   string   `yaml:"image"`
	Volumes []string `yaml:"volumes"`
	Ports   []string `yaml:"ports"`
	Command any      `yaml:"command"` // text or a list
}

func readOverlay(t *testing.T) map[string]composeService {
	t.Helper()
	text, err := os.ReadFile("docker-compose.yml")
	require.NoError(t, err)
	var file struct {
		Services map[string]composeService `yaml:"services"`
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	require.NotEmpty(t, file.Services)
	return file.Services
}

// The images are pinned, the ports are local by default, and every mounted file exists.
func TestOverlay_MountsFilesThatExist(t *testing.T) {
	for name, s := range readOverlay(t) {
		assert.Regexp(t, `:v?\d+\.\d+\.\d+$|^bloxoss/blox:\$\{BLOX_VERSION:-local\}$`, s.Image, name)
		for _, port := range s.Ports {
			assert.True(t, strings.HasPrefix(port, "${BLOX_ADDRESS:-127.0.0.1}:"), "%s: %s", name, port)
		}
		for _, volume := range s.Volumes {
			if path, _, _ := strings.Cut(volume, ":"); strings.HasPrefix(path, "./") {
				_, err := os.Stat(filepath.Join("../..", path))
				assert.NoError(t, err, "%s: %s", name, volume)
			}
		}
	}
}

// Without BLOX_PROBE, the probe starts nothing. blox accepts its command line.
func TestOverlay_ProbesReadOnlyByDefault(t *testing.T) {
	command := fmt.Sprint(readOverlay(t)["probe"].Command)
	fixed, isDefault := strings.CutSuffix(command, " ${BLOX_PROBE:---read-only}")
	require.True(t, isDefault, command)
	for _, flags := range []string{"--read-only", "--cluster default --task-definition agent:1"} {
		args := strings.Fields(fixed + " " + flags)
		root := blox.New(blox.Program{Getenv: func(string) string { return "" }})
		found, rest, err := root.Find(args)
		require.NoError(t, err)
		require.NoError(t, found.ParseFlags(rest))
		assert.Equal(t, "blox probe", found.CommandPath())
		assert.Empty(t, found.Flags().Args())
		assert.Equal(t, "0.0.0.0:9100", found.Flag("metrics-bind").Value.String())
	}
}

// docker-compose accepts the overlay on top of the file that it extends, and of the other overlays.
func TestOverlay_IsAcceptedByCompose(t *testing.T) {
	path, err := exec.LookPath("docker-compose")
	if err != nil {
		t.Skip("no docker-compose on the PATH")
	}
	for _, overlays := range [][]string{
		nil, {"deploy/docker/simulator.yml"}, {"deploy/docker/replicas.yml"},
	} {
		args := []string{"-f", "docker-compose.yml"}
		for _, overlay := range append(overlays, "deploy/monitoring/docker-compose.yml") {
			args = append(args, "-f", overlay)
		}
		ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
		command := exec.CommandContext(ctx, path, append(args, "config")...)
		command.Dir = "../.."
		output, err := command.CombinedOutput()
		cancel()
		require.NoError(t, err, "%s", output)
		for _, want := range []string{`image: prom/prometheus:`, `image: grafana/grafana:`, `127.0.0.1:9090`} {
			assert.Regexp(t, regexp.QuoteMeta(want), string(output))
		}
	}
}

// Prometheus scrapes every replica of the services that the compose files define, at the port that they listen on.
func TestOverlay_ScrapesEveryReplica(t *testing.T) {
	scraped, err := os.ReadFile("prometheus.yml")
	require.NoError(t, err)
	for path, targets := range map[string][]string{
		"../../docker-compose.yml": {"cluster-state-service:3000", "daemon-scheduler:2000"},
		"../docker/replicas.yml":   {"cluster-state-service-2:3000", "daemon-scheduler-2:2000"},
		"docker-compose.yml":       {"probe:9100"},
	} {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, target := range targets {
			name, port, _ := strings.Cut(target, ":")
			assert.Contains(t, string(text), "\n  "+name+":\n", path)
			assert.Regexp(t, regexp.QuoteMeta(name)+`(:|\], type: A, port: )`+port, string(scraped))
		}
	}
}
