package authentication

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/klog/v2"
)

// readFile adds the tokens of a CSV file. It is read once: tokens come and go with a restart.
func (t *tokens) readFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return errors.Unwrap(err) // the caller names the file
	}
	defer f.Close()
	before := len(t.users)
	ineffective, err := t.read(f)
	switch {
	case err != nil:
		return err
	case len(t.users) == before:
		klog.Warningf("There is no token in the token file %s", path)
	case len(ineffective) > 0:
		klog.Warningf("Lines of the token file %s that let nobody in, being without a token or with that of a later line: %s", path, listed(ineffective))
	}
	return nil
}

// listed names the first of lines.
func listed(lines []int) string {
	var all []string
	for _, line := range lines[:min(len(lines), 10)] {
		all = append(all, strconv.Itoa(line))
	}
	if len(all) < len(lines) {
		all = append(all, "…")
	}
	return strings.Join(all, ", ")
}

// read adds the tokens of the lines token,user,uid[,"group1,group2"], and returns the lines that have no effect: with an empty token, or with that of
// a later line.
func (t *tokens) read(r io.Reader) (ineffective []int, err error) {
	lines := map[string]int{}
	records := csv.NewReader(r)
	records.FieldsPerRecord = -1 // the groups may be left out
	records.ReuseRecord = true
	for {
		record, err := records.Read()
		if err == io.EOF {
			slices.Sort(ineffective)
			return ineffective, nil
		}
		if err != nil {
			return nil, err // names the line
		}
		line, _ := records.FieldPos(0)
		if len(record) < 3 {
			return nil, fmt.Errorf("line %d: it has %d columns and needs at least 3: token, user name, user UID", line, len(record))
		}
		token, name, uid := record[0], record[1], record[2]
		if token == "" {
			ineffective = append(ineffective, line)
			continue
		}
		if name == "" {
			return nil, fmt.Errorf("line %d: the user name is empty", line)
		}
		u := &user.DefaultInfo{Name: name, UID: uid}
		if len(record) > 3 && record[3] != "" {
			u.Groups = strings.Split(record[3], ",")
		}
		u.Groups = withAuthenticated(name, u.Groups)
		if former := lines[token]; former > 0 {
			ineffective = append(ineffective, former)
		}
		lines[token] = line
		t.add(token, u)
	}
}
