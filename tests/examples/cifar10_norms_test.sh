#!/usr/bin/env bash
# Tests cifar10_norms as a program, on a few synthetic images: its files, its messages, its exit codes.
#
#   cifar10_norms_test.sh PROGRAM SCRATCH_DIR
set -euo pipefail

program=$(realpath "${1:?expected the program}")
scratch=${2:?expected a scratch folder}/cifar10_norms
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch"
unset NORMNET_DATA

failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }
expect_same() { [[ $2 == "$3" ]] || fail "$1: expected '$3', got '$2'"; }

# An exit code, the line on standard error, then the options. Nothing may be written.
expect_error() {
  local expected_code=$1 expected_line=$2 code=0
  shift 2
  "$program" "$@" >stdout 2>stderr || code=$?
  expect_same "exit code of $*" "$code" "$expected_code"
  expect_same "message of $*" "$(<stderr)" "$expected_line"
  [[ ! -e runs ]] || fail "$*: wrote runs/"
}

"$program" --help >help
for option in recipe norm data synthetic epochs batch-size batch-sizes lr seed threads limit out keep-checkpoints resume restart \
  no-progress help; do
  grep --quiet -e "--$option" help || fail "--help does not mention --$option"
done

expect_error 2 'cifar10_norms: --epochs: expected at least 1, got 0' --synthetic --epochs 0
expect_error 2 \
  'cifar10_norms: --norm gn:3: recipe era: layer "norm1": GroupNorm: expected groups that divide 10 channels, got 3' \
  --synthetic --norm gn:3
expect_error 2 'cifar10_norms: batch norm "norm10" has maps of 1x1: expected batches of at least 2 images, got 1' \
  batch-size-study --synthetic --limit 20 --batch-sizes 1,4
expect_error 2 'cifar10_norms: --batch-sizes: expected at most 20, the number of training images, got 256' \
  batch-size-study --synthetic --limit 20
expect_error 2 'cifar10_norms: expected recipes, batch-size-study or options, got "recipe"' recipe
expect_error 1 \
  'cifar10_norms: no CIFAR-10 here: get it with scripts/download_cifar10.sh, name its folder with --data, or try --synthetic'
expect_error 1 \
  'cifar10_norms: Cifar10: no folder "none"; get the binary version from https://www.cs.toronto.edu/~kriz/cifar.html and unpack it' \
  --data none
NORMNET_DATA=nowhere expect_error 1 \
  'cifar10_norms: Cifar10: no folder "nowhere"; get the binary version from https://www.cs.toronto.edu/~kriz/cifar.html and unpack it'
NORMNET_FONT=nowhere expect_error 1 'cifar10_norms: NORMNET_FONT: cannot read the font "nowhere"' --synthetic --limit 20
for arguments in recipes --help; do
  code=0
  "$program" $arguments >/dev/full 2>stderr || code=$?
  expect_same "exit code of $arguments on a full disk" "$code" 1
  expect_same "message of $arguments on a full disk" "$(<stderr)" 'cifar10_norms: cannot write to standard output'
done
: >a_file
expect_error 1 'cifar10_norms: cannot write to "a_file/out": Not a directory' --synthetic --limit 20 --out a_file/out
"$program" --no-such-option >stdout 2>stderr && fail "an unknown option must be an error"
grep --quiet '^cifar10_norms: .*--no-such-option' stderr || fail "an unknown option must be named, got '$(<stderr)'"

# A whole run: what it leaves behind, and that no result depends on the threads.
tiny=(--synthetic --limit 60 --batch-size 20 --epochs 2 --norm bn,gn:5 --seed 3,4)
"$program" "${tiny[@]}" --threads 1 >stdout
expect_same "files" "$(cd runs/era && LC_ALL=C ls)" \
  "$(printf '%s\n' accuracy.png accuracy_{bn,gn5}.png channels.png classes.png confusion_{bn,gn5}.png history.csv \
    loss.png loss_{bn,gn5}.png misclassified_{bn,gn5}.png report.html results.json samples.png)"
for picture in runs/era/*.png; do
  expect_same "the first bytes of $picture" "$(head -c 8 "$picture" | od -An -tx1 | tr -d ' ')" 89504e470d0a1a0a
done
expect_same "banners" "$(grep --count 'SYNTHETIC DATA' stdout)" 2
grep --quiet '^bn    seed 3  epoch 1/2  train loss ' stdout || fail "no line for the first epoch"
grep --quiet '^era  *bn  *39,490 .* +- ' stdout || fail "no line for bn in the table"
grep --quiet '74.71' stdout && fail "synthetic accuracies must not be compared with published ones"
for line in '"synthetic": true' '"finished": true' '"norm": "gn:5"' '"file": "misclassified_gn5.png"'; do
  grep --quiet -e "$line" runs/era/results.json || fail "results.json has no $line"
done
for part in '"finished":true' 'data:image/png;base64,'; do
  grep --quiet -e "$part" runs/era/report.html || fail "report.html has no $part"
done
expect_same "columns of history.csv" "$(head -n 1 runs/era/history.csv)" \
  recipe,norm,seed,epoch,train_loss,train_acc,test_loss,test_acc,lr,train_seconds,images_per_second,test_seconds
expect_same "rows of history.csv" "$(tail -n +2 runs/era/history.csv | cut -d, -f1-4)" \
  "$(printf 'era,%s\n' bn,3,1 bn,3,2 bn,4,1 bn,4,2 gn:5,3,1 gn:5,3,2 gn:5,4,1 gn:5,4,2)"
mkdir other
touch other/results.json other/misclassified_xn.png other/notes
"$program" "${tiny[@]}" --threads 3 --out other >stdout
expect_same "files beside those of an earlier run" "$(cd other && LC_ALL=C ls | tail -n 6)" \
  "$(printf '%s\n' misclassified_{bn,gn5}.png notes report.html results.json samples.png)"
expect_same "the same bits on three threads" "$(cut -d, -f1-9 other/history.csv)" "$(cut -d, -f1-9 runs/era/history.csv)"

# The recipes, all of them trained, and the study of batch sizes. An odd number of images leaves a last batch of one.
"$program" recipes >stdout
grep --quiet '^tsai8  *ln  *57,866  *11  *52.27  *9$' stdout || fail "recipes: no line for tsai8 with ln"
"$program" --recipe all --norm bn --synthetic --limit 11 --batch-size 5 --epochs 1 --out all >stdout
expect_same "files of all recipes" "$(cd all && LC_ALL=C ls)" \
  "$(printf '%s\n' channels.png classes.png dw dw_residual era eva6 history.csv onecycle report.html results.json samples.png \
    tsai8 tsai8_head)"
grep --quiet '"file": "tsai8/misclassified_bn.png"' all/results.json || fail "no picture of tsai8 in results.json"
for recipe in dw dw_residual era eva6 onecycle tsai8 tsai8_head; do
  [[ -s all/$recipe/accuracy.png ]] || fail "no curves of $recipe"
  grep --quiet "^$recipe,bn,1,1," all/history.csv || fail "no $recipe in the common history.csv"
done
"$program" --data none batch-size-study --synthetic >stdout 2>stderr && fail "--data and --synthetic exclude each other"
"$program" batch-size-study --synthetic --limit 9 --batch-sizes 4,2 --epochs 1 --seed 1,2 --out study >stdout
expect_same "files of the study" "$(cd study && LC_ALL=C ls)" \
  "$(printf '%s\n' channels.png classes.png report.html results.json samples.png study.csv study.png)"
expect_same "rows of study.csv" "$(cut -d, -f2-5 study/study.csv | sed -n '1,4p;12,$p')" \
  "$(printf '%s\n' norm,batch_size,seed,epoch bn,4,1,1 bn,4,2,1 gn,4,1,1 ln,2,1,1 ln,2,2,1)"
grep --quiet '"learning_rate": 0.00015625' study/results.json || fail "no learning rate in proportion to the batch size"
grep --quiet '^ *2  *0.00015625 .* +- ' stdout || fail "no line for batch size 2 in the study's table"

# A run that cannot start leaves the files of the one before alone.
cp -r runs before
"$program" --data none >stdout 2>stderr && fail "a missing folder must be an error"
diff --recursive before runs || fail "a run that did not start changed the files of the one before"
rm -r runs before

# What a whole run prints is lost on a full disk; its files are not.
code=0
"$program" --synthetic --limit 20 --epochs 1 --norm bn --out unheard >/dev/full 2>stderr || code=$?
expect_same "exit code of a run without output" "$code" 1
expect_same "message of a run without output" "$(<stderr)" 'cifar10_norms: cannot write to standard output'
grep --quiet '"finished": true' unheard/results.json || fail "a run without output must have its files"

# Too little memory says what needed how much; the sanitizers' own memory would not fit.
if ! grep --quiet --text -e __asan_init -e __tsan_init "$program"; then
  code=0
  (
    ulimit -v 800000
    exec "$program" --synthetic --limit 5000 --batch-size 5000 --epochs 1 --norm bn --threads 1 --out large
  ) >stdout 2>stderr || code=$?
  expect_same "exit code without memory" "$code" 1
  expect_same "lines on standard error without memory" "$(wc -l <stderr)" 1
  grep --quiet --extended-regexp '^cifar10_norms: out of memory: an? .* needs [0-9,]+ MB$' stderr || fail "unclear: $(<stderr)"
  grep --quiet '"failed": "out of memory: ' large/results.json || fail "results.json does not tell of the memory"
fi

# A terminal that moves no cursor gets no moving line.
if command -v script >found; then
  for term in dumb '' xterm; do
    TERM=$term script --quiet --return --command "$(printf '%q ' "$program" --synthetic --limit 60 --epochs 1 --norm bn --restart)" \
      /dev/null >stdout </dev/null || fail "TERM=$term: exit code $?"
    moves=no
    ! grep --quiet $'\e' stdout || moves=yes
    expect_same "a moving line where TERM is '$term'" "$moves" "$([[ $term == xterm ]] && echo yes || echo no)"
  done
  rm -r runs
fi

# Starts the program with the options that follow, sends it a signal when it has written the first checkpoint of a training, and
# expects an exit code.
stop_at() {
  local signal=$1 expected_code=$2 training=$3 code=0
  shift 3
  env --default-signal=HUP "$program" "$@" >stdout 2>stderr &  # which a test under nohup ignores
  local pid=$!
  while kill -0 $pid 2>/dev/null && ! (cd "$training" && compgen -G "checkpoint-*.safetensors") >found 2>&1; do sleep 0.01; done
  kill -s "$signal" $pid 2>/dev/null || true
  { wait $pid; } 2>/dev/null || code=$?
  expect_same "exit code after $signal at $training" "$code" "$expected_code"
}

# A run that is stopped leaves the figures of the epochs that it came to; stopped or killed, it goes on to the same bits.
run=(--synthetic --limit 100 --batch-size 20 --epochs 3 --norm bn,gn:5 --seed 3,4)
"$program" "${run[@]}" --keep-checkpoints 0 --out whole >stdout
stop_at TERM 130 stopped/checkpoints/era/bn-seed4 "${run[@]}" --out stopped
grep --quiet "^Go on with: $program ${run[*]} --out stopped --resume$" stdout || fail "a stopped run must say how to go on"
for line in '"test_acc": ' '"finished": false' '"interrupted": true' '"resume": "'"$program"' .* --out stopped --resume"'; do
  grep --quiet -e "$line" stopped/results.json || fail "results.json after a stop has no $line"
done
grep --quiet '"interrupted":true' stopped/report.html || fail "the page must say that the run was interrupted"
expect_same "rows of history.csv after a stop" "$(sed -n '2p;5p' stopped/history.csv | cut -d, -f1-4)" \
  "$(printf '%s\n' era,bn,3,1 era,bn,4,1)"
expect_same "checkpoints of a training that has ended" \
  "$(cd stopped/checkpoints/era/bn-seed3 && echo *)" checkpoint-3.safetensors

cp -r stopped before_resume
expect_error 2 "cifar10_norms: \"stopped\" holds a run that has not finished: go on with --resume, begin anew with --restart, or \
take another --out" "${run[@]}" --out stopped
expect_error 2 'cifar10_norms: --resume: expected --seed 3,4 as in the run in "stopped", got 3' "${run[@]:0:9}" --seed 3 \
  --out stopped --resume
expect_error 2 'cifar10_norms: --resume: expected --batch-size 20 as in the run in "stopped", got 128' \
  --synthetic --limit 100 --epochs 3 --norm bn,gn:5 --seed 3,4 --out stopped --resume
expect_error 2 'cifar10_norms: --resume: "whole" holds no run that was stopped' "${run[@]}" --out whole --resume
rm -f stopped/checkpoints/.lock before_resume/checkpoints/.lock
diff --recursive before_resume stopped || fail "a run that was refused changed the files of the one before"

stop_at KILL 137 stopped/checkpoints/era/gn5-seed3 "${run[@]}" --out stopped --resume
"$program" "${run[@]}" --out stopped --resume --threads 3 >stdout
grep --quiet '^bn    seed 4  is trained$' stdout || fail "a training that had ended was not taken from its checkpoint"
grep --quiet --extended-regexp '^gn:5  seed 3  (goes on in epoch [23] after 0 batches|is trained)$' stdout ||
  fail "the training that was killed did not go on"
expect_same "the bits of a run that was stopped and killed" "$(cut -d, -f1-9 stopped/history.csv)" \
  "$(cut -d, -f1-9 whole/history.csv)"
expect_same "files of a run that was stopped and killed" "$(cd stopped && LC_ALL=C ls -A)" "$(cd whole && LC_ALL=C ls -A)"
for picture in confusion_{bn,gn5}.png misclassified_{bn,gn5}.png accuracy.png; do
  cmp "stopped/$picture" "whole/$picture" || fail "$picture of a run that was stopped and killed is another"
done
grep --quiet '"finished": true' stopped/results.json || fail "a run that went on must finish"

# --restart begins anew, and leaves what is not its own; a checkpoint that cannot be written is an error.
stop_at KILL 137 anew/checkpoints/era/bn-seed3 "${run[@]}" --out anew
touch anew/checkpoints/notes
"$program" "${tiny[@]}" --out anew --restart >stdout
expect_same "what is left of checkpoints" "$(cd anew && echo checkpoints/*)" checkpoints/notes
expect_same "the bits of a run that began anew" "$(cut -d, -f1-9 anew/history.csv)" "$(cut -d, -f1-9 other/history.csv)"
mkdir -p full/checkpoints/era
touch full/checkpoints/era/bn-seed3
expect_error 1 'cifar10_norms: cannot make the folder "full/checkpoints/era/bn-seed3": Not a directory' "${tiny[@]}" --out full

# The command that goes on can be pasted, whatever is in it.
nasty=$'it\'s $HOME; `x` & "y" \\ #1 *?'
stop_at TERM 130 "$nasty/checkpoints/era/bn-seed3" "${run[@]}" --out "$nasty"
command=$(sed -n 's/^Go on with: //p' stdout)
for shell in sh bash; do
  cp -r "$nasty" kept_nasty
  "$shell" -c "$command" >stdout || fail "$shell cannot take back: $command"
  expect_same "the bits of a run that a pasted command ended" "$(cut -d, -f1-9 "$nasty/history.csv")" "$(cut -d, -f1-9 whole/history.csv)"
  rm -r "$nasty"
  mv kept_nasty "$nasty"
done

# A run that an error ends says so in its files, which no page refreshes any more; what kills have left goes.
few=(--synthetic --limit 60 --batch-size 20)
mkdir lost
touch lost/.history.csv.12-3.part lost/.notes.12-3.part
code=0
"$program" "${few[@]}" --epochs 2 --norm bn --lr 1e30 --out lost >stdout 2>stderr || code=$?
expect_same "exit code of a run that is lost" "$code" 1
expect_same "lines on standard error of a run that is lost" "$(wc -l <stderr)" 1
grep --quiet '^cifar10_norms: Trainer: the loss became nan in epoch 1, step 2, .*; the first value .* is the output of' stderr || fail "unclear error of a run that is lost: $(<stderr)"
grep --quiet '"failed": "Trainer: the loss became nan' lost/results.json || fail "results.json does not tell of the error"
grep --quiet '"failed":"Trainer: the loss became nan' lost/report.html || fail "report.html does not tell of the error"
grep --quiet '"resume": null' lost/results.json || fail "results.json offers to come to the same error again"
expect_same "leftovers" "$(cd lost && LC_ALL=C ls -A | grep part)" .notes.12-3.part
grep --quiet '"failed": "cannot make the folder ' full/results.json || fail "results.json does not tell of checkpoints that fail"
code=0
"$program" batch-size-study --synthetic --limit 60 --norm bn --batch-sizes 20 --lr 1e30 --out lost_study >stdout 2>stderr || code=$?
expect_same "exit code of a study that is lost" "$code" 1
grep --quiet '"failed": "Trainer: the loss became nan' lost_study/results.json || fail "the study does not tell of the error"

# A full disk, here a limit on the size of files, costs no checkpoint, and no bit once there is room again.
stop_at TERM 130 crowded/checkpoints/era/bn-seed3 "${run[@]}" --out crowded
cp -r crowded/checkpoints kept
code=0
(
  trap '' XFSZ
  ulimit -f 100
  exec "$program" "${run[@]}" --out crowded --resume
) >stdout 2>stderr || code=$?
expect_same "exit code on a full disk" "$code" 1
grep --quiet '^cifar10_norms: cannot write "crowded/[^"]*": File too large$' stderr || fail "unclear error: $(<stderr)"
expect_same "lines on standard error on a full disk" "$(wc -l <stderr)" 1
grep --quiet '"failed": "cannot write ' crowded/results.json || fail "results.json does not tell of the full disk"
diff --recursive kept crowded/checkpoints || fail "a full disk changed the checkpoints"
expect_same "leftovers of a full disk" "$(find crowded -name '*.part')" ""
"$program" "${run[@]}" --out crowded --resume >stdout
expect_same "the bits of a run that found the disk full" "$(cut -d, -f1-9 crowded/history.csv)" "$(cut -d, -f1-9 whole/history.csv)"

# The study goes on, too.
study=(batch-size-study --synthetic --limit 60 --batch-sizes 20,30 --norm bn,gn --epochs 3)
"$program" "${study[@]}" --out study >stdout
stop_at HUP 130 study_stopped/checkpoints/era/bn-batch30-seed1 "${study[@]}" --out study_stopped
grep --quiet '"interrupted": true' study_stopped/results.json || fail "the study must say that it was interrupted"
"$program" "${study[@]}" --out study_stopped --resume >stdout
expect_same "the bits of a study that was stopped" "$(cut -d, -f1-10 study_stopped/study.csv)" "$(cut -d, -f1-10 study/study.csv)"

cd /
rm -rf "$scratch"
exit $((failures > 0))
