package show

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func written(t *testing.T, rows *Rows, style Style) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, rows.Write(&out, style))
	return out.String()
}

func TestTable_FitsTheTerminal(t *testing.T) {
	rows := &Rows{Columns: Columns("NAME", "STATUS", "REASON~", "ARN+")}
	rows.Add("müsli", "active", "because of something\nthat is long\x1b[31m", "arn:aws:ecs:…")
	rows.Add("b", "", "x", "")
	assert.Equal(t, "NAME   STATUS  REASON\nmüsli  active  because of something that is long [31m\nb      -       x\n",
		written(t, rows, Style{}))
	assert.Equal(t,
		"NAME   STATUS  REASON                                  ARN\nmüsli  active  because of something that is long "+
			"[31m  arn:aws:ecs:…\nb      -       x                                       -\n",
		written(t, rows, Style{Output: Output{Wide: true}, Width: 30}), "wide is never cut")
	assert.Equal(t, "NAME   STATUS  REASON\nmüsli  active  because of som…\nb      -       x\n",
		written(t, rows, Style{Width: 30}))
	assert.Contains(t, written(t, rows, Style{Width: 10}), "because …\n", "a column keeps nine characters")
	assert.Equal(t,
		"\x1b[1mNAME\x1b[0m   \x1b[1mSTATUS\x1b[0m  \x1b[1mREASON\x1b[0m\nmüsli  \x1b[32mactive\x1b[0m  because of "+
			"som…\nb      -       x\n",
		written(t, rows, Style{Width: 30, Colour: true}), "colours take no place")
}

func TestFields_AlignValues(t *testing.T) {
	var out bytes.Buffer
	f := &Fields{}
	f.Add("Name", "a")
	f.Add("Not there", "")
	f.Add("Task definition", "agent:1")
	require.NoError(t, f.Write(&out, Style{}))
	assert.Equal(t, "Name:             a\nTask definition:  agent:1\n", out.String())
}

func TestEncode_YAMLEqualsJSON(t *testing.T) {
	value := map[string]any{
		"yes": "yes", "truth": true, "text": "true", "number": 12345678901234, "digits": "0123", "version": "17",
		"time":    "2026-11-21T05:26:07.628Z",
		"nothing": nil, "word": "null", "empty": "", "list": []any{}, "object": map[string]any{},
		"nested":  []any{map[string]any{"a": "b: c"}, "#d", "line\nbreak"},
		"percent": "%d", "arn": "arn:aws:ecs:us-east-1:123456789012:task/default/0123", "tilde": "~", "html": "<&>",
		"exp": "1e3",
	}
	var out bytes.Buffer
	require.NoError(t, Encode(&out, YAML, value))
	var back map[string]any
	require.NoError(t, yaml.Unmarshal(out.Bytes(), &back))
	want, err := encodeJSON(value)
	require.NoError(t, err)
	got, err := encodeJSON(back)
	require.NoError(t, err)
	assert.JSONEq(t, string(want), string(got), out.String())
	assert.Contains(t, "\n"+out.String(), "\narn: arn:aws:ecs:us-east-1:123456789012:task/default/0123\n",
		"no quotes where none are needed")
	assert.Contains(t, out.String(), "\nhtml: <&>\n")
	assert.Contains(t, out.String(), "\n\"yes\": \"yes\"\n", "older readers take it for true")
	assert.NotContains(t, out.String(), "{\"")

	var lines bytes.Buffer
	require.NoError(t, EncodeLine(&lines, JSON, []byte("{ \"a\": 1 }")))
	require.NoError(t, EncodeLine(&lines, YAML, []byte(`{"a": 1}`)))
	assert.Equal(t, "{\"a\":1}\n---\na: 1\n", lines.String())
}

func TestProgress_BarOrLines(t *testing.T) {
	var out bytes.Buffer
	p := &Progress{Out: &out}
	for _, done := range []int64{0, 1, 1, 3} {
		p.Update(done, 3, "running", "2s")
	}
	p.Warn("  failed on %s", "a\nb")
	p.End()
	assert.Equal(t, "  0 of 3 running\n  1 of 3 running\n  3 of 3 running\n  failed on a b\n", out.String(),
		"a line for each change, and no more")

	out.Reset()
	p = &Progress{Out: &out, Style: Style{Width: 80}}
	p.Update(1, 3, "running", "2s")
	p.Update(2, 3, "running", "3s")
	p.Info("news")
	p.Update(3, 3, "running", "4s")
	p.End()
	p.End()
	bar := func(n int) string {
		return "\r\x1b[K[" + strings.Repeat("█", n) + strings.Repeat("░", barWidth-n) + "] "
	}
	assert.Equal(t, bar(8)+"1 of 3 running  2s"+bar(16)+"2 of 3 running  3s"+
		"\r\x1b[Knews\n"+bar(24)+"3 of 3 running  4s\n", out.String())
	p.Update(0, 0, "running", "")
	out.Reset()
	for _, width := range []int{30, 45, 200} {
		out.Reset()
		p.Style.Width = width
		p.Update(1, 3, "running, 1 pending, 1 failed", "2s")
		line := strings.TrimPrefix(out.String(), "\r\x1b[K")
		assert.LessOrEqual(t, len([]rune(line)), width, "a bar never breaks its line")
		assert.Contains(t, line, "1 of 3 runn")
	}
}

func TestStyle_ColoursOnTerminalsOnly(t *testing.T) {
	none := func(string) string { return "" }
	assert.Zero(t, StyleFor(&bytes.Buffer{}, none).Width)
	assert.False(t, StyleFor(&bytes.Buffer{}, none).Colour)
	file, err := os.Create(t.TempDir() + "/out")
	require.NoError(t, err)
	defer file.Close()
	assert.Zero(t, StyleFor(file, none).Width)
}

func TestWords_Format(t *testing.T) {
	assert.Equal(t, "0123", Style{}.ID("arn:aws:ecs:us-east-1:123456789012:task/default/0123"))
	assert.Equal(t, "agent:1", Style{}.ID("arn:aws:ecs:us-east-1:123456789012:task-definition/agent:1"))
	assert.Equal(t, "default", Style{}.ID("default"))
	assert.Equal(t, "arn:aws:ecs:r:a:task/x", Style{Output: Output{Wide: true}}.ID("arn:aws:ecs:r:a:task/x"))
	assert.Equal(t, "0s", Duration(0))
	assert.Equal(t, "300ms", Duration(312*time.Millisecond))
	assert.Equal(t, "1m5s", Duration(65*time.Second+400*time.Millisecond))
}
