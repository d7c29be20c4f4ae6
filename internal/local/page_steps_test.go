package local

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// step is commands and the output that a page shows below them, or a file that the reader saves.
type step struct {
	commands string
	output   []string // lines; may be empty
	file     string   // name of the file; its content is in commands
}

// isStream reports whether the step's command has no end.
func (s step) isStream() bool { return strings.Contains(s.commands, "curl -sN") }

// onlyReads reports whether the step changes nothing, so that it may be repeated.
func (s step) onlyReads() bool { return !writes.MatchString(s.commands) }

var writes = regexp.MustCompile(` -X |blox (apply|deploy|migrate|restart|rollback|context (set|use|delete)|sim \S+ ` +
	`(add|create|drain|kill|register|remove|set|stop|start|activate|connect|disconnect|clear|health)` +
	`|environments (cancel-takeover|create|delete|pause|resume|rollback|update)` +
	`|deployments (create|promote|stop))\b`)

// page returns the text of a page of the repository.
func page(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + path)
	require.NoError(t, err)
	return string(text)
}

// section returns the text from one heading to another.
func section(t *testing.T, text, from, to string) string {
	t.Helper()
	_, section, found := strings.Cut(text, "\n"+from+"\n")
	require.True(t, found, from)
	section, _, found = strings.Cut(section, "\n"+to+"\n")
	require.True(t, found, to)
	return section
}

// codeBlock finds the code blocks; the second word behind ``` names the file in which the reader saves the block.
var codeBlock = regexp.MustCompile("(?ms)^```[a-z]*(?: ([\\w.-]+))?\n(.*?)^```$")

// codeBlocks returns the content of all code blocks.
func codeBlocks(markdown string) (blocks []string) {
	for _, found := range codeBlock.FindAllStringSubmatch(markdown, -1) {
		blocks = append(blocks, found[2])
	}
	return blocks
}

var firstCommand = regexp.MustCompile(`^(curl |[A-Z]+=)`)

// parseSteps returns the steps of blocks that hold either commands or the output of the commands above. The output
// before the first commands is returned separately.
func parseSteps(blocks []string) (before []string, steps []step) {
	for _, block := range blocks {
		lines := nonEmptyLines(block)
		switch {
		case firstCommand.MatchString(block):
			steps = append(steps, step{commands: block})
		case len(steps) == 0:
			before = append(before, lines...)
		default:
			last := &steps[len(steps)-1]
			last.output = append(last.output, lines...)
		}
	}
	return before, steps
}

// parseSession returns the steps of the blocks in which each command follows "$ " and precedes its output, and of the
// blocks that the reader saves in a file.
func parseSession(markdown string) (steps []step) {
	for _, found := range codeBlock.FindAllStringSubmatch(markdown, -1) {
		file, block := found[1], found[2]
		if file != "" {
			steps = append(steps, step{commands: block, file: file})
		}
		if file != "" || !strings.HasPrefix(block, "$ ") {
			continue
		}
		for _, line := range nonEmptyLines(block) {
			command, isCommand := strings.CutPrefix(line, "$ ")
			if isCommand {
				steps = append(steps, step{commands: command + "\n"})
				continue
			}
			last := &steps[len(steps)-1]
			if len(last.output) == 0 && strings.HasSuffix(last.commands, "\\\n") {
				last.commands += line + "\n"
			} else {
				last.output = append(last.output, line)
			}
		}
	}
	return steps
}

func nonEmptyLines(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestPageSteps_JoinCommandsAndOutput(t *testing.T) {
	markdown := "text\n```\nAn output\n```\n```\ncurl -s x\n```\n```\n{\"a\":1}\n\n…\n```\n\n" +
		"```sh\nA=1\ncurl -X POST y\n```\n"
	before, steps := parseSteps(codeBlocks(markdown))
	assert.Equal(t, []string{"An output"}, before)
	assert.Equal(t, []step{
		{commands: "curl -s x\n", output: []string{`{"a":1}`, "…"}},
		{commands: "A=1\ncurl -X POST y\n"},
	}, steps)
	assert.True(t, steps[0].onlyReads())
	assert.False(t, steps[1].onlyReads())
	assert.Equal(t, []step{
		{commands: "blox a \\\n    --b\n", output: []string{"one", "two"}}, {commands: "blox c\n"},
		{commands: "a: b\n", file: "c.yml"},
	}, parseSession("```\n$ blox a \\\n    --b\none\ntwo\n```\n```\nexport A=b\n```\n```\n$ blox c\n```\n"+
		"```yaml c.yml\na: b\n```\n"))
}

func TestStep_OnlyReads(t *testing.T) {
	for command, want := range map[string]bool{
		"blox environments instances web-agent": true, "blox deployments watch web-agent": true, "curl -s x": true,
		"blox deployments plan web-agent": true, "blox diff -f a.yml; echo $?": true, "blox sim instances list": true,
		"blox deploy web-agent": false, "blox sim faults set '{}'": false, "blox environments pause x": false,
		"curl -s -X POST y": false, "blox deployments create web-agent --watch": false,
	} {
		assert.Equal(t, want, step{commands: command}.onlyReads(), command)
	}
}
