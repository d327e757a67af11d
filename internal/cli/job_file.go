package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/queuemgr/queuemgr/internal/config"
	"github.com/queuemgr/queuemgr/job"
)

// addFile adds the jobs of a file, all or none.
func (a *app) addFile(ctx context.Context, o addOptions, defaults job.Spec) error {
	in := a.Stdin
	name := "standard input"
	if o.file != "-" {
		f, err := os.Open(o.file)
		if err != nil {
			return openError("file", o.file, err)
		}
		defer f.Close() //nolint:errcheck // only read
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return usage("--file: "+o.file+" is a folder", `give a file with one job a line, like {"command":["true"]}`)
		}
		in, name = f, o.file
	}
	specs, lines, err := readSpecs(in, name, defaults)
	if err != nil {
		return err
	}
	svc, err := a.svc()
	if err != nil {
		return err
	}
	ids, err := svc.AddJobs(ctx, job.Batch{Defaults: defaults, Jobs: specs})
	if err != nil {
		// The daemon counts jobs, the user lines.
		if e := (*job.Error)(nil); errors.As(err, &e) && e.Line >= 1 && e.Line <= len(lines) {
			return lineError(name, lines[e.Line-1], e)
		}
		return err
	}
	if err := a.printAddedAll(o, ids); err != nil {
		return err
	}
	if !o.wait {
		return nil
	}
	return a.waitAll(ctx, ids)
}

func (a *app) printAddedAll(o addOptions, ids []int64) error {
	switch {
	case o.json:
		return a.printJSON(map[string][]int64{"ids": ids})
	case o.quiet:
		w := bufio.NewWriter(a.Stdout)
		for _, id := range ids {
			if _, err := fmt.Fprintln(w, id); err != nil {
				return err
			}
		}
		return w.Flush()
	case len(ids) == 1:
		return a.print("job %d added\n", ids[0])
	default:
		return a.print("%s added: %d to %d\n", plural(int64(len(ids)), "job"), ids[0], ids[len(ids)-1])
	}
}

// readSpecs reads one job a line and returns them with the numbers of their lines. Empty lines
// are passed over. A relative cwd is one below that of the defaults.
func readSpecs(in io.Reader, name string, defaults job.Spec) (specs []job.Spec, lines []int, err error) {
	r := bufio.NewReaderSize(in, 64<<10)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, fmt.Errorf("reading %s: %w", name, err)
		}
		if n == 1 {
			if err := checkEncoding(line); err != nil {
				return nil, nil, lineError(name, n, err)
			}
		}
		if text := bytes.TrimSpace(line); len(text) > 0 {
			spec, specErr := parseSpec(text, defaults)
			if specErr != nil {
				return nil, nil, lineError(name, n, specErr)
			}
			specs, lines = append(specs, spec), append(lines, n)
		}
		if err != nil {
			break
		}
	}
	if len(specs) == 0 {
		return nil, nil, usage(name+" holds no job", `each line is a JSON object like {"command":["true"]}`)
	}
	return specs, lines, nil
}

// checkEncoding refuses a file that begins with a byte-order mark, which is no part of JSON.
func checkEncoding(first []byte) error {
	switch {
	case bytes.HasPrefix(first, []byte("\xef\xbb\xbf")):
		return usage("the file begins with a byte-order mark", "save it as UTF-8 without one: sed -i '1s/^\\xef\\xbb\\xbf//' FILE")
	case bytes.HasPrefix(first, []byte("\xff\xfe")), bytes.HasPrefix(first, []byte("\xfe\xff")):
		return usage("the file is UTF-16, as its byte-order mark says", "save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE")
	}
	return nil
}

// parseSpec reads one job, strictly.
func parseSpec(text []byte, defaults job.Spec) (job.Spec, error) {
	var s job.Spec
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s, specError(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return s, usage("there is more behind the JSON object", "put each job on a line of its own")
	}
	if err := job.CheckNames(text); err != nil {
		return s, err
	}
	if s.Cwd != "" && !strings.HasPrefix(s.Cwd, "/") {
		s.Cwd = defaults.Cwd + "/" + s.Cwd
	}
	checked := s
	if len(s.Command) == 0 && s.Shell == "" && !s.Typed() {
		if !defaults.Typed() {
			return s, usage("no command is given", `a job is like {"command":["true"]}, {"shell":"sort a | uniq"} or {"type":"http","params":{…}}`)
		}
		checked.Type = defaults.Type
	}
	return s, checked.Check()
}

// specFields are the fields of a line.
var specFields = []string{"command", "shell", "queue", "type", "params", "name", "key", "priority", "tags", "cwd", "env", "umask",
	"timeout", "grace", "stop_signal", "on_lost", "split", "hold", "watchdog", "success_codes"}

// specError says in a user's words what encoding/json did not like.
func specError(err error) error {
	var wrongType *json.UnmarshalTypeError
	var own *job.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &wrongType) && wrongType.Field == "":
		return usage("not a JSON object but "+article(wrongType.Value), `a job is like {"command":["true"]}`)
	case errors.As(err, &wrongType):
		return &job.Error{Code: job.Invalid, Field: wrongType.Field, Message: fmt.Sprintf("%s must be %s, and is %s", wrongType.Field, wanted(wrongType), article(wrongType.Value)),
			Hint: "see queuemgr job add --help"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return usage("the JSON object is not complete", "each job is on one line")
	}
	if _, quoted, ok := strings.Cut(err.Error(), "unknown field "); ok {
		field := strings.Trim(quoted, `"`)
		hint := "the fields are: " + strings.Join(specFields, ", ")
		if near := config.Nearest(field, specFields); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return &job.Error{Code: job.Invalid, Field: field, Message: fmt.Sprintf("unknown field %q", field), Hint: hint}
	}
	return usage("not JSON: "+strings.TrimPrefix(err.Error(), "json: "), `a job is like {"command":["true"]}`)
}

// wanted says what a field must be, with an example where the word alone helps little.
func wanted(e *json.UnmarshalTypeError) string {
	switch field, _, _ := strings.Cut(e.Field, "."); {
	case field == "command" && e.Type.Kind() == reflect.Slice:
		return `a list of strings like ["tar","-czf","home.tgz","/home"]`
	case field == "tags" && e.Type.Kind() == reflect.Slice:
		return `a list of strings like ["backup"]`
	case field == "env" && e.Type.Kind() == reflect.Map:
		return `an object of strings like {"LANG":"C"}`
	}
	switch e.Type.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Uint32:
		return "a whole number, not below zero"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	}
	return "an object"
}

// article is "a string", "an array".
func article(noun string) string {
	if strings.HasPrefix(noun, "array") || strings.HasPrefix(noun, "object") {
		return "an " + noun
	}
	return "a " + noun
}

// lineError says in which line of a file err is, and that nothing was added.
func lineError(name string, line int, err error) error {
	e := &job.Error{Code: job.Invalid, Message: err.Error()}
	if inner := (*job.Error)(nil); errors.As(err, &inner) {
		copied := *inner
		e = &copied
	}
	e.Line = line
	e.Message = fmt.Sprintf("%s, line %d: %s; nothing was added", name, line, e.Message)
	return e
}

// openError says that a file given by a flag or argument can't be used.
func openError(field, name string, err error) error {
	code := job.Invalid
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		code = job.NotFound
	case errors.Is(err, os.ErrPermission):
		code = job.Forbidden
	}
	hint := ""
	if field == "home" {
		hint = "give a folder that you may write to: --home DIR, or QUEUEMGR_HOME"
	}
	return &job.Error{Code: code, Field: field, Message: fmt.Sprintf("%s: %v", name, err), Hint: hint, Err: err}
}
