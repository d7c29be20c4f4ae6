package local

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// step is a code block with commands, and the output that the README shows below it.
type step struct {
	commands string
	output   []string // lines; may be empty
}

// isStream reports whether the step's command has no end.
func (s step) isStream() bool { return strings.Contains(s.commands, "curl -sN") }

// onlyReads reports whether the step changes nothing, so that it may be repeated.
func (s step) onlyReads() bool { return !strings.Contains(s.commands, " -X ") }

// readmeSection returns the text from one heading to another.
func readmeSection(t *testing.T, from, to string) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n"+from+"\n")
	require.True(t, found, from)
	section, _, found = strings.Cut(section, "\n"+to+"\n")
	require.True(t, found, to)
	return section
}

var codeBlock = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```$")

// codeBlocks returns the content of all code blocks.
func codeBlocks(markdown string) (blocks []string) {
	for _, found := range codeBlock.FindAllStringSubmatch(markdown, -1) {
		blocks = append(blocks, found[1])
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

// parseSession returns the steps of the blocks in which each command follows "$ " and precedes its output.
func parseSession(blocks []string) (steps []step) {
	for _, block := range blocks {
		if !strings.HasPrefix(block, "$ ") {
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

func TestReadmeSteps_JoinCommandsAndOutput(t *testing.T) {
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
	}, parseSession([]string{"$ blox a \\\n    --b\none\ntwo\n", "export A=b\n", "$ blox c\n"}))
}
