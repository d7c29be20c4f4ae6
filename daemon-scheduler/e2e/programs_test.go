package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/testenv"
)

func TestPrograms_RejectInvalidFlagsInOneLine(t *testing.T) {
	const etcd = "127.0.0.1:1"
	for name, tc := range map[string]struct {
		program string
		args    []string
		want    []string
	}{
		"cluster-state-service without flags": {"cluster-state-service", nil, []string{"--etcd-endpoint", "--queue"}},
		"cluster-state-service with a bad endpoint": {"cluster-state-service",
			[]string{"--queue", "q", "--etcd-endpoint", "nowhere"}, []string{"--etcd-endpoint", "nowhere"}},
		"cluster-state-service without a region": {"cluster-state-service",
			[]string{"--queue", "q", "--etcd-endpoint", etcd}, []string{"AWS_REGION"}},
		"daemon-scheduler without flags": {"daemon-scheduler", nil, []string{"--etcd-endpoint", "--css-endpoint"}},
		"daemon-scheduler with a bad endpoint": {"daemon-scheduler",
			[]string{"--css-endpoint", "x", "--etcd-endpoint", etcd}, []string{"--css-endpoint"}},
		"daemon-scheduler without a region": {"daemon-scheduler",
			[]string{"--css-endpoint", etcd, "--etcd-endpoint", etcd}, []string{"AWS_REGION"}},
		"ecs-sim with an unknown flag": {"ecs-sim", []string{"--colour"}, []string{"colour"}},
		"blox-local with a bad number": {"blox-local", []string{"--instances", "x"}, []string{"instances"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := testenv.Program(t, nil, tc.program, tc.args...)
			assert.Equal(t, 1, p.Wait())
			assert.Equal(t, 1, strings.Count(output(p), "\n"), output(p))
			for _, want := range tc.want {
				assert.Contains(t, output(p), want)
			}
		})
	}
}

func TestPrograms_PrintVersionAndHelp(t *testing.T) {
	for _, program := range []string{"cluster-state-service", "daemon-scheduler"} {
		for _, flag := range []string{"--version", "--help"} {
			p := testenv.Program(t, nil, program, flag)
			assert.Zero(t, p.Wait(), "%s %s", program, flag)
			assert.NotEmpty(t, output(p))
		}
	}
}

// output returns the program's output without the harness's first line.
func output(p *harness.Process) string {
	_, text, _ := strings.Cut(p.Output(), "\n")
	return text
}
