// What the server knows of names, states, tasks and queues, for suggestions and the palette.

const source = document.getElementById("vocabulary");

export const vocabulary = source ? JSON.parse(source.textContent) : { names: {}, states: [], tasks: [], queues: [] };

export const rooms = [...document.querySelectorAll(".wide-rooms a")].map((link) => ({
  label: link.textContent,
  address: link.href,
  key: link.dataset.key,
}));

const jobs = () => rooms.find((room) => room.key === "j").address;

export const searchAddress = (line) => `${jobs()}?q=${encodeURIComponent(line)}`;

// As the server writes a value: in quotes where it has spaces or quotes.
export const quoted = (value) => (/[\s"]/.test(value) ? `"${value.replace(/["\\]/g, "\\$&")}"` : value);
