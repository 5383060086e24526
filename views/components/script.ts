/**
 * Lets people see the password that they type. The button is hidden until this runs, and the field is a
 * password field again before the form leaves, so that browsers store it as one.
 */
export const revealScript = `
for (const button of document.querySelectorAll('[data-reveal]')) {
  const input = document.getElementById(button.dataset.reveal);
  const show = (shown) => {
    input.type = shown ? 'text' : 'password';
    button.textContent = shown ? button.dataset.hide : button.dataset.show;
    button.setAttribute('aria-label', shown ? button.dataset.hideLabel : button.dataset.showLabel);
  };
  button.hidden = false;
  button.addEventListener('click', () => { show(input.type === 'password'); input.focus(); });
  input.form.addEventListener('submit', () => show(false));
}
`;

/**
 * Says while somebody types how good a new password is: after a pause it asks the server, which alone can judge, and shows the
 * answer. Without it, and whenever the server does not answer, the form tells when it is sent.
 */
export const strengthScript = `
for (const input of document.querySelectorAll('[data-check]')) {
  const { form } = input;
  const meter = document.getElementById('strength');
  const verdict = document.getElementById('verdict');
  let timer;
  let asked = 0;
  const show = ({ score, text }) => {
    meter.hidden = text === '';
    meter.setAttribute('aria-valuenow', score);
    verdict.textContent = text;
  };
  const ask = async (turn) => {
    const body = new URLSearchParams({
      csrf: form.elements.csrf.value,
      email: form.elements.email.value,
      new_password: input.value,
    });
    const answer = await fetch(input.dataset.check, { method: 'POST', body });
    if (answer.ok && turn === asked) show(await answer.json());
  };
  input.addEventListener('input', () => {
    clearTimeout(timer);
    const turn = ++asked;
    if (input.value === '') show({ score: 0, text: '' });
    else timer = setTimeout(() => ask(turn).catch(() => {}), 400);
  });
}
`;

/**
 * Counts a waiting time down, in the words that the page brought along, and says when it is over. Without it the page names the
 * time from when it was shown.
 */
export const countdownScript = `
for (const line of document.querySelectorAll('[data-countdown]')) {
  const time = line.querySelector('[data-time]');
  const end = Date.now() + Number(line.dataset.countdown) * 1000;
  const tick = () => {
    const left = (end - Date.now()) / 1000;
    const minutes = Math.ceil(left / 60);
    if (left >= 60) {
      time.textContent = minutes === 1 ? line.dataset.minute : line.dataset.minutes.replace('{minutes}', minutes);
    } else if (left > 0) {
      time.textContent = line.dataset.soon;
    } else {
      line.textContent = line.dataset.over;
      clearInterval(timer);
    }
  };
  const timer = setInterval(tick, 1000);
}
`;
