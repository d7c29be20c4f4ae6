package deploy

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const troubleshooting = "docs/troubleshooting.md"

// sourceOf returns the Go code of both services and of the packages that they share, without tests.
func sourceOf(t *testing.T) string {
	t.Helper()
	var source strings.Builder
	for _, dir := range []string{"cluster-state-service", "daemon-scheduler", "internal"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			source.Write(text)
			return err
		})
		require.NoError(t, err)
	}
	return source.String()
}

// quoted returns the messages in the first column of the tables below a heading of troubleshooting.md.
func quoted(t *testing.T, heading string) (messages []string) {
	t.Helper()
	_, section, found := strings.Cut(readText(t, troubleshooting), "\n## "+heading+"\n")
	require.True(t, found, heading)
	section, _, _ = strings.Cut(section, "\n## ")
	for _, row := range regexp.MustCompile("(?m)^\\| `(.+?)` \\|").FindAllStringSubmatch(section, -1) {
		messages = append(messages, row[1])
	}
	require.NotEmpty(t, messages, heading)
	return messages
}

var formatVerb = regexp.MustCompile(`%[a-z]`)

// Operators search for the text that they see. "…" stands for a value.
func TestTroubleshooting_QuotesMessagesOfTheServices(t *testing.T) {
	source := formatVerb.ReplaceAllString(sourceOf(t), "…")
	for _, heading := range []string{
		"A service is not ready", "An instance has no daemon", "A deployment failed", "A rollout makes no progress",
		"Log messages",
	} {
		for _, message := range quoted(t, heading) {
			for part := range strings.SplitSeq(message, "…") {
				assert.True(t, strings.Contains(source, strings.TrimSpace(part)), "%s: no service writes %q", heading, part)
			}
		}
	}
}

var failureLog = regexp.MustCompile(`(?s)NewFailureLogs?\([^;{}]*?"(failed to [^"]+)"`)

// Each failure that can persist has a row.
func TestTroubleshooting_ListsPersistentFailures(t *testing.T) {
	guide := readText(t, troubleshooting)
	found := failureLog.FindAllStringSubmatch(sourceOf(t), -1)
	assert.Greater(t, len(found), 20)
	for _, message := range found {
		before, _, _ := strings.Cut(message[1], ";")
		assert.True(t, strings.Contains(guide, "| `"+before), "%s does not have %q", troubleshooting, message[1])
	}
}
